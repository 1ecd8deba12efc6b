"""Seals the log into the lake: every event into one object, once, whatever is killed meanwhile (P3, P4).

Intent, object, manifest: each step is safe to do again. The intent is committed first; the store creates an object
whole or not at all, and takes the same bytes twice; the manifest's row is committed together with the offset, which
must still be where the batch begins. What a killed process left is finished by whoever holds the shard next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from lakefront import tracing
from lakefront.adapters.objects.store import ObjectConflict, ObjectStore
from lakefront.db.database import Database
from lakefront.errors import InternalError, LakefrontError, Unavailable
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake import manifest
from lakefront.eventlog.lake.envelope import Compression, Packed, pack, traces
from lakefront.eventlog.lake.intents import Sizes, Unsealed, close_batch, read, unsealed
from lakefront.eventlog.lake.locks import Locks
from lakefront.eventlog.lake.manifest import Intent, Place
from lakefront.eventlog.lake.unpack import UNREADABLE, lines
from lakefront.eventlog.pace import Bell, lull
from lakefront.settings import OneStream

PUT_PATIENCE: Final = 300.0
"""Seconds the store has for one object; then it is put again, which is safe even if it was stored after all."""

AT_ONCE: Final = 4
"""Shards that are sealed at the same time; each keeps a packed batch in memory until the store has it."""

LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts while a shard fails; they double up to here."""

COURTESY: Final = 5.0
"""A batch waits for a lull in the appends, at most so many times as long as the one before it took to read and pack."""

STOPPING: Final = 10.0
"""Seconds to seal what is there when the server stops."""

_PART: Final = 256 * 1024

_log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    """A batch on its way into the store."""

    intent: Intent
    packed: Packed
    raw_bytes: int
    traces: Sequence[str]


class _Waiting(NamedTuple):
    """Nothing of a tenant is due before ``until`` (monotonic seconds), unless its ``mark`` changes."""

    mark: int
    until: float


@dataclass(slots=True)
class _State:
    """What this process remembers of a shard: who is at it, and until when it rests after a failure."""

    task: asyncio.Task[None] | None = None
    failures: int = 0
    rests_until: float = 0.0


class Sealer:
    """Seals every stream of every tenant; one process at a time is at a shard, and another goes on where it died.

    It looks at all tenants at once every ``poll`` seconds, and at one whose log has something to seal when there is
    something new in it, or its time has come.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        backlog: Backlog,
        *,
        stream: Callable[[str], OneStream],
        poll: float,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """``stream`` gives a stream's settings, ``poll`` is in seconds; ``busy``: appends are under way, they go first.

        ``database`` should prefer the order of offsets (``READING_THE_LOG``).
        """
        self._database = database
        self._store = store
        self._backlog = backlog
        self._stream = stream
        self._poll = poll
        self._busy = busy
        self._locks = Locks(database.dsn)
        self._sizes = Sizes(database)
        self._states: dict[Place, _State] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._bell = Bell()
        self._one_by_one = asyncio.Semaphore(1)
        self._few = asyncio.Semaphore(AT_ONCE)
        self._took = 0.0
        self._alone = asyncio.Lock()

    def wake(self) -> None:
        """Look at the log now, also at shards that rest after a failure: PostgreSQL is back, say."""
        for state in self._states.values():
            state.rests_until = 0.0
        self._waiting.clear()
        self._bell.ring()

    async def run(self) -> None:
        """Seal what is due, for ever; a shard that fails rests and is tried again, while the others go on."""
        pause = self._poll
        async with self._alone, asyncio.TaskGroup() as group:
            while True:
                self._bell.quiet()
                found = await self._look()
                for shard in found or ():
                    self._start(group, shard)
                pause = self._poll if found is not None else min(pause * 2, LONGEST_PAUSE)
                await self._bell.wait(pause)

    async def seal_now(self, patience: float = STOPPING) -> None:
        """Seal all that is in the log now, due or not, once ``run`` has ended; give up after ``patience`` seconds.

        What is left is in the log, and sealed when a server runs again.
        """
        try:
            async with asyncio.timeout(patience), self._alone, asyncio.TaskGroup() as group:
                for shard in await self._look(all_of_it=True) or ():
                    group.create_task(self._try(shard, due=False))
        except TimeoutError:
            _log.warning("not everything could be sealed within %.0f s; the next start goes on with it", patience)

    async def close(self) -> None:
        """Give up the locks."""
        await self._locks.close()

    async def _look(self, *, all_of_it: bool = False) -> list[Unsealed] | None:
        """What is to be sealed, also what just waits if ``all_of_it``; None when it cannot be told, which is logged."""
        found: list[Unsealed] = []
        try:
            behind = await self._backlog.tenants(manifest.CONSUMER)
            for tenant, mark in behind.items():
                waiting = self._waiting.get(tenant)
                if all_of_it or waiting is None or waiting.mark != mark or time.monotonic() >= waiting.until:
                    found += await self._look_at(tenant, mark)
        except LakefrontError as away:
            _log.warning("the sealer waits: %s", away.message)
            return None
        except Exception:  # noqa: BLE001 - the worker must outlive it
            _log.exception("the sealer cannot look at the log and will try again")
            return None
        self._waiting = {tenant: waiting for tenant, waiting in self._waiting.items() if tenant in behind}
        return found

    async def _look_at(self, tenant: str, mark: int) -> list[Unsealed]:
        """What a tenant's log has to seal; a log that lost an event holds up its own tenant alone, which is logged."""
        try:
            found = await unsealed(self._database, tenant)
        except InternalError as damaged:
            _log.error("sealing of %s stands still: %s", tenant, damaged.message)
            self._waiting[tenant] = _Waiting(mark, time.monotonic() + LONGEST_PAUSE)
            return []
        self._waiting[tenant] = _Waiting(mark, time.monotonic() + min(map(self._due_in, found), default=0.0))
        return found

    def _due_in(self, shard: Unsealed) -> float:
        """Seconds until ``shard`` is old enough to be sealed, however small it is; 0 when it is."""
        interval = self._stream(shard.place.stream).seal_interval
        # An event from a clock that was ahead, and is right again, would wait for hours: so its distance counts, too.
        # Clocks of several servers that are a moment apart are no reason to hurry.
        old = shard.intent is not None or abs(shard.age) >= interval
        return 0.0 if old else interval - shard.age

    def _start(self, group: asyncio.TaskGroup, shard: Unsealed) -> None:
        state = self._states.setdefault(shard.place, _State())
        if (state.task is None or state.task.done()) and time.monotonic() >= state.rests_until:
            state.task = group.create_task(self._turn(shard, state), name=f"sealing {shard.place}")

    async def _turn(self, shard: Unsealed, state: _State) -> None:
        failure = await self._try(shard, due=True)
        if failure is None:
            state.failures = 0
            return
        # A conflict heals only when somebody looks into the store; anything else may be over in a moment.
        state.failures += 1
        pause = LONGEST_PAUSE if isinstance(failure, ObjectConflict) else self._poll * 2.0 ** min(state.failures, 16)
        state.rests_until = time.monotonic() + min(pause, LONGEST_PAUSE)

    async def _try(self, shard: Unsealed, *, due: bool) -> Exception | None:
        """Seal ``shard``; what went wrong is logged and returned."""
        place = shard.place
        try:
            await self._seal_shard(shard, due=due)
        except LakefrontError as away:
            _log.warning("sealing %s waits: %s", place, away.message)
            return away
        except ObjectConflict as conflict:
            _log.error(
                "sealing %s stands still until that object is away; its events wait in the log: %s", place, conflict
            )
            return conflict
        except Exception as failure:  # noqa: BLE001 - the worker must outlive it
            _log.exception("sealing %s failed and will be tried again", place)
            return failure
        return None

    async def _seal_shard(self, shard: Unsealed, *, due: bool) -> None:
        """Seal batch after batch of ``shard``: those that are ``due``, or all that was seen of it."""
        place, goal = shard.place, shard.until
        if due and not await self._is_due(shard):
            return
        async with self._locks.hold(f"seal|{'|'.join(map(str, place))}") as held:
            while held and await self._seal_batch(place, goal, due=due):
                pass

    async def _seal_batch(self, place: Place, goal: int, *, due: bool) -> bool:
        """Seal the next batch of ``place``; False when there is none, or it is neither due nor before ``goal``."""
        async with self._few:
            found = await unsealed(self._database, place.tenant, place)
            if not found or not ((found[0].start < goal and not due) or await self._is_due(found[0])):
                return False
            if batch := await self._prepare(found[0]):
                with tracing.spans("lakefront.seal", batch.traces, stream=place.stream, shard=place.shard):
                    await self._store_and_enter(batch)
            return True

    async def _is_due(self, shard: Unsealed) -> bool:
        if self._due_in(shard) > 0.0:
            if not await self._sizes.reach(shard, self._stream(shard.place.stream).seal_bytes):
                return False
            self._waiting.pop(shard.place.tenant, None)  # whatever comes of it, there is no waiting for its time
        return True

    async def _prepare(self, shard: Unsealed) -> _Batch | None:
        """The batch that ``shard`` begins with, closed and packed; None if another process closed another just now."""
        async with self._one_by_one:  # of all shards together one batch at a time stands in memory unpacked
            await lull(self._busy, COURTESY * self._took)
            started = time.monotonic()
            intent, one = shard.intent, self._stream(shard.place.stream)
            if intent is not None:
                raw = await read(self._database, shard.place, intent.start, intent.until, layout=intent.layout)
            else:
                raw = await read(self._database, shard.place, shard.start, shard.until, limit=one.seal_bytes)
                until = shard.start + raw.count(b"\n")
                intent = await close_batch(self._database, shard, until, one.seal_compression)
            batch = None if intent is None else await asyncio.to_thread(_pack, intent, raw)
            self._took = time.monotonic() - started
            return batch

    async def _store_and_enter(self, batch: _Batch) -> None:
        """Put the object, then enter it; no transaction is open while it is on its way."""
        intent = batch.intent
        try:
            async with asyncio.timeout(PUT_PATIENCE):
                stored = await self._put(batch)
        except TimeoutError:
            raise Unavailable(f"The object store did not take {intent.key} within {PUT_PATIENCE:.0f} s.") from None
        entered = await manifest.enter(
            self._database,
            intent,
            sha256=stored.sha256,
            stored_bytes=len(stored.data),
            raw_bytes=batch.raw_bytes,
        )
        word = "sealed" if entered else "sealed by another process:"
        _log.debug("%s %s, %d events", word, intent.key, intent.until - intent.start)

    async def _put(self, batch: _Batch) -> Packed:
        """What is stored for ``batch`` now; raises ``ObjectConflict`` if that is not its lines."""
        intent, packed, raw_bytes, _ = batch
        try:
            await self._store.put(intent.key, packed.data)
        except ObjectConflict:
            # A server before this one may have packed the same lines with another version of zlib.
            found = await self._stored(intent.key, most=raw_bytes + len(packed.data))
            if found is None or not await asyncio.to_thread(_same_lines, found, packed.data, intent.compression):
                raise
            return Packed(found, sha256(found).hexdigest())
        return packed

    async def _stored(self, key: str, *, most: int) -> bytes | None:
        """The object's bytes; None if it has over ``most`` of them."""
        data = bytearray()
        async for part in self._store.read(key):
            data += part
            if len(data) > most:
                return None
        return bytes(data)


def _pack(intent: Intent, raw: bytearray) -> _Batch:
    return _Batch(intent, pack(raw, intent.compression), len(raw), traces(raw) if tracing.recording() else ())


def _same_lines(one: bytes, other: bytes, compression: Compression) -> bool:
    """Whether two objects hold the same lines; of a hostile one no more is unpacked than ``other`` has."""
    try:
        mine, its = lines(one, compression), lines(other, compression)
        while (part := its.read(_PART)) == mine.read(_PART):
            if not part:
                return True
    except UNREADABLE:
        pass
    return False
