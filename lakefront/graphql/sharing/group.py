"""Groups of equal subscriptions: each follows once, executes each event once, and tells all its members.

A group is live alone: it begins at the log's head. A member that wants to begin earlier replays by itself, until it has
come to exactly where the group stands, or stood just now; from there on it takes what the group tells (ADR 0024).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Protocol

from lakefront.errors import InternalError, LakefrontError
from lakefront.eventlog import cursors
from lakefront.eventlog.events import Offsets, reaches
from lakefront.graphql.answers import Answer, refused
from lakefront.graphql.following import Tail
from lakefront.graphql.operation import Operation
from lakefront.graphql.plan.errors import log_unforeseen
from lakefront.graphql.sharing.key import ShareKey, group_actor, share_key
from lakefront.graphql.sharing.seat import Outlet, Seat, Shared
from lakefront.settings import MIB
from lakefront.tracing import new_trace_id

NEAR: Final = 500
"""Events between a member's position and its group's that the member replays while the group's answers wait for it."""

RECENT: Final = 200
RECENT_BYTES: Final = MIB // 4
"""What a group keeps of its latest answers: members that lost their connection a moment ago replay nothing."""

FLUSH_AFTER: Final = 0.003
"""Seconds of events in a row after which their answers are written, together; as long as writing takes, if longer."""

FLUSH_AFTER_ALL: Final = 0.1
"""Seconds after which they are written, however many members there are."""

TURN: Final = 200
"""Members that are written to before everybody else gets a turn on the event loop."""


class Run(Protocol):
    """A subscription that runs by itself."""

    def answers(self) -> AsyncGenerator[Answer]:
        """Its answers, the last one refused if it fails."""

    async def event(self, payload: object) -> Answer:
        """The operation's selection of ``payload``."""


class Groups:
    """The groups of one schema and one server, by their share keys."""

    def __init__(self, run: Callable[[Operation], Run | Answer], buffer: int) -> None:
        self._run = run
        self._buffer = buffer
        self._groups: dict[ShareKey, Group] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.delivered = 0
        """Answers that were kept for members, each for each."""

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    @property
    def members(self) -> int:
        """How many subscribers are in a group, or on their way into one."""
        return sum(len(group.members) for group in self._groups.values())

    @property
    def listening(self) -> int:
        """How many take what their groups tell."""
        return sum(len(group.told) for group in self._groups.values())

    def seat(self, operation: Operation, outlet: Outlet | None) -> Seat:
        """A place for ``operation``, in no group yet."""
        return Seat(self, operation, outlet, self._buffer)

    def enter(self, seat: Seat) -> "Group":
        """The group of the seat's operation, made if there is none; raises what keeps it from running."""
        key = share_key(seat.operation)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(self, key, self._tail(seat.operation))
        group.members.add(seat)
        return group

    def leave(self, seat: Seat) -> None:
        """Take the seat from its group; the last one out closes the group."""
        if seat.group is not None and seat in seat.group.members:
            seat.group.members.discard(seat)
            seat.group.told.pop(seat, None)
            seat.group.wake()
            if not seat.group.members:
                self.close(seat.group)

    def close(self, group: "Group") -> None:
        """Take no more members, and end the group's source."""
        if self._groups.get(group.key) is group:
            del self._groups[group.key]
        self._closing.add(group.task)
        group.task.add_done_callback(self._closing.discard)
        if group.task is not asyncio.current_task():
            group.task.cancel()

    def _tail(self, operation: Operation) -> tuple[Run, Tail]:
        tail = Tail()
        shared = replace(operation, actor=group_actor(operation), trace_id=new_trace_id(), following=tail)
        run = self._run(shared)
        if isinstance(run, Answer):
            raise run.refusal or InternalError()
        return run, tail


class Group:
    """Equal subscriptions: ``members`` are all that hold a place, ``told`` those that take what the group tells."""

    def __init__(self, groups: Groups, key: ShareKey, running: tuple[Run, Tail]) -> None:
        self.key = key
        self.members: set[Seat] = set()
        self.told: dict[Seat, None] = {}
        self._groups = groups
        self._run, self._tail = running
        self._cursor: str | None = None
        self._recent: deque[Shared] = deque()
        self._recent_bytes = 0
        self._before_recent: str | None = None
        """The cursor after which the first of the recent answers comes."""
        self._clock = asyncio.get_running_loop().time
        self._unflushed_since = 0.0
        self._patience = FLUSH_AFTER
        self._moved = asyncio.Event()
        self._beat: tuple[object, asyncio.Task[Answer]] | None = None
        self._ended: Answer | None = None
        self.task = asyncio.create_task(self._follow(), name="subscriptions of one kind")

    async def admit(self, seat: Seat, stream: str, position: Offsets) -> Offsets | None:
        """The position up to which the seat's own replay must go; ``None``: it stands where the group does, or did.

        Waits until the group has reached ``position``. Raises what ended the group.
        """
        while True:
            here = self._position(stream)
            if here is not None and reaches(here, position):
                break
            self._moved.clear()
            await self._moved.wait()
            if seat.over:
                return None
        if self._keep_for(seat, stream, position, here):
            return None
        if sum(offset - position.get(shard, 0) for shard, offset in here.items()) <= NEAR:
            self._join(seat)
        return here

    async def beat(self) -> Shared | None:
        """Where the group stands, as its document wants to hear it; ``None`` when it moved on meanwhile."""
        mark = self._tail.mark
        if self._beat is None or self._beat[0] is not mark:
            self._beat = mark, asyncio.create_task(self._run.event(mark))
        try:
            answer = await asyncio.shield(self._beat[1])
        except LakefrontError:
            return None  # a sign of life that fails is none; the next one may not
        return _shared(answer, mark.cursor) if mark.cursor == self._cursor else None

    @property
    def cursor(self) -> str | None:
        """Where the group stands."""
        return self._cursor

    def wake(self) -> None:
        """Let those who wait to be admitted look again."""
        self._moved.set()

    async def _follow(self) -> None:
        last: Answer | None = None
        try:
            async with aclosing(self._run.answers()) as answers:
                async for answer in answers:
                    if not answer.executed:
                        last = answer
                    elif answer.heartbeat:
                        self._mark(answer.cursor)
                        await self._flush()
                    else:
                        self._tell(_shared(answer, answer.cursor))
                        if self._clock() - self._unflushed_since > self._patience:
                            await self._flush()
                    if not self.members:
                        return
        except Exception as error:  # noqa: BLE001 - it is logged with its traceback and told as masked
            trace_id = new_trace_id()
            log_unforeseen(error, trace_id)
            last = refused(InternalError(), trace_id)
        self._end(last)

    def _tell(self, answer: Shared) -> None:
        """Keep ``answer`` for all at one moment: whoever joins now comes before it or after it."""
        if not self._unflushed_since:
            self._unflushed_since = self._clock()
        self._remember(answer)
        self._cursor = answer.cursor
        self._groups.delivered += len(self.told)
        for seat in list(self.told):
            seat.offer(answer)

    def _mark(self, cursor: str | None) -> None:
        self._cursor = cursor
        if not self._recent:
            self._before_recent = cursor
        self._moved.set()

    async def _flush(self) -> None:
        """Let all have what waits for them, some at a time."""
        started, self._unflushed_since = self._clock(), 0.0
        self._moved.set()
        for number, seat in enumerate(list(self.told), 1):
            seat.flush()
            if number % TURN == 0:
                await asyncio.sleep(0)
        self._patience = min(max(FLUSH_AFTER, self._clock() - started), FLUSH_AFTER_ALL)

    def _remember(self, answer: Shared) -> None:
        if len(self.members) < 2:
            self._recent.clear()
            self._recent_bytes = 0
            self._before_recent = answer.cursor
            return
        self._recent.append(answer)
        self._recent_bytes += len(answer.encoded)
        while len(self._recent) > RECENT or self._recent_bytes > RECENT_BYTES:
            dropped = self._recent.popleft()
            self._recent_bytes -= len(dropped.encoded)
            self._before_recent = dropped.cursor

    def _keep_for(self, seat: Seat, stream: str, position: Offsets, here: Offsets) -> bool:
        """Give the seat what came after ``position``, if the group stood exactly there; whether it did."""
        if reaches(position, here):
            self._join(seat)
            return True
        cursor = cursors.encode(stream, cursors.LAYOUT, position)
        places = [self._before_recent, *(answer.cursor for answer in self._recent)]
        if cursor not in places:
            return False
        self._join(seat)
        for answer in list(self._recent)[places.index(cursor) :]:
            seat.offer(answer)
        return True

    def _join(self, seat: Seat) -> None:
        self.told[seat] = None
        seat.joined = True

    def _position(self, stream: str) -> Offsets | None:
        """Where the group stands; raises what ended it."""
        if self._ended is not None:
            raise self._ended.refusal or InternalError()
        return None if self._cursor is None else cursors.decode(stream, self._cursor).offsets

    def _end(self, last: Answer | None) -> None:
        self._ended = last or Answer(executed=False)
        for seat in list(self.told):
            seat.end(last)
        self._groups.close(self)
        self._moved.set()


def _shared(answer: Answer, cursor: str | None) -> Shared:
    told = Shared(answer.data, answer.errors, answer.extensions, cursor=cursor, raw=answer.raw)
    told.encoded = answer.encode()
    told.refusal = answer.refusal
    return told
