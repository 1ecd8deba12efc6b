"""Carries imports out (C5): every server runs one, and each import is in the hands of one of them at a time.

What it needs to go on stands in the import's row: killed at any moment, another takes it over when the lease is up.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec

from lakefront import tracing
from lakefront.actor import system_actor
from lakefront.adapters.opendata import PAGE
from lakefront.adapters.providers.socrata import Socrata
from lakefront.domain import integrations
from lakefront.domain.open_data import rounds
from lakefront.domain.open_data.datasets import DATA_SETS
from lakefront.domain.open_data.pace import wait_for_rows
from lakefront.domain.open_data.progress import tell
from lakefront.domain.open_data.runs import LeaseLost, Run, claim, expect, fail, give_back, renew
from lakefront.domain.open_data.taking import take_in
from lakefront.domain.services import Services
from lakefront.errors import InternalError, LakefrontError, RateLimited, Unavailable, UpstreamDenied, UpstreamError
from lakefront.eventlog.pace import Bell

LEASE: Final = 60.0
"""Seconds after which another runner may take an import over whose runner said nothing."""

AT_ONCE: Final = 2
"""Imports that one server carries out at a time: a page of each is in memory, some 60 MB."""

MOST_FAILURES: Final = 12
"""Failures in a row, the pauses between them doubling, after which an import has failed: about an hour."""

ROUNDS_EVERY: Final = 60.0
"""Seconds between two looks at what is due by the clock, at most."""

LEAST_PAGE: Final = 500
"""Rows of a page, at least, however often it failed."""

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 900.0
"""Seconds between two tries."""

_WAITING: Final = """
SELECT coalesce(json_agg(json_build_array(tenant_id, import_id, dataset, told < version,
  due_at <= now() AND (state = 'QUEUED' OR (state = 'RUNNING' AND leased_until <= now()))) ORDER BY due_at), '[]')
FROM lakefront.open_data_imports WHERE state IN ('QUEUED', 'RUNNING') OR told < version
"""


class _Waiting(NamedTuple):
    """An import that is under way, or that the log has to hear of."""

    tenant: str
    import_id: str
    dataset: str
    untold: bool
    due: bool


_log = logging.getLogger(__name__)


class OpenDataRunner:
    """Looks for imports to carry out whenever it is told of one, and every ``poll`` seconds."""

    def __init__(
        self,
        services: Services,
        *,
        poll: float = 5.0,
        lease: float = LEASE,
        page: int = PAGE,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        """``page``: rows of one; ``first_pause``: seconds after a first failure."""
        self._services = services
        self._poll = poll
        self._lease = lease
        self._page = page
        self._first_pause = first_pause
        self._bell = Bell()
        self._running: set[tuple[str, str]] = set()
        self._crowded = False
        """Whether an import waits for its turn because others are carried out."""
        self._rounds_at = 0.0

    def notice(self, _tenant: str = "") -> None:
        """An import was asked for, or cancelled, on any server."""
        self._bell.ring()

    async def run(self) -> None:
        """Carry imports out, for ever; one that fails disturbs no other."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._bell.quiet()
                try:
                    await self._look(group)
                except LakefrontError as failure:
                    _log.warning("imports of open data are not looked at: %s", failure.code)
                except Exception:  # noqa: BLE001 - the worker must outlive it
                    _log.exception("the look at imports of open data failed")
                await self._bell.wait(self._poll)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        await self._alone("rounds by the clock", self._rounds())
        found = await self._services.provisioner.text(_WAITING)
        waiting = msgspec.json.decode(found, type=list[_Waiting])
        for tenant in dict.fromkeys(it.tenant for it in waiting if it.untold):
            await self._alone(f"telling of imports of tenant={tenant}", tell(self._services, tenant))
        self._crowded = False
        for it in waiting:
            place = (it.tenant, it.import_id)
            if not it.due or it.dataset not in DATA_SETS or place in self._running:
                continue
            if len(self._running) >= AT_ONCE:
                self._crowded = True
                return
            await self._alone(f"taking up an import of tenant={it.tenant}", self._begin(group, place))

    async def _rounds(self) -> None:
        every = self._services.settings.open_data_interval
        if every is not None and time.monotonic() >= self._rounds_at:
            self._rounds_at = time.monotonic() + min(every / 2, ROUNDS_EVERY)
            await rounds.queue_due(self._services, every)

    async def _begin(self, group: asyncio.TaskGroup, place: tuple[str, str]) -> None:
        if run := await claim(self._services.database, *place, self._lease):
            self._running.add(place)
            group.create_task(self._carry_out(run))

    async def _alone(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``; where it fails, all else has its turn nevertheless, and it has another with the next look."""
        try:
            await work
        except LakefrontError as failure:
            _log.warning("%s failed: %s", what, failure.code)
        except Exception:  # noqa: BLE001 - as the docstring says
            _log.exception("%s failed", what)

    async def _carry_out(self, run: Run) -> None:
        try:
            with tracing.span("lakefront.import", run.trace_id, dataset=run.data_set.dataset):
                await self._held(run, self._read(run))
        except LeaseLost:
            _log.info("import %s of tenant=%s was cancelled, or another runs it now", run.import_id, run.tenant)
        except LakefrontError as failure:
            await self._failed(run, failure)
        except Exception:  # noqa: BLE001 - the other imports must outlive it
            _log.exception("import %s of tenant=%s failed", run.import_id, run.tenant)
            await self._failed(run, InternalError())
        finally:
            self._running.discard((run.tenant, run.import_id))
            self._bell.ring()

    async def _read(self, run: Run) -> None:
        """The pages from the import's place on: all, or until another import waits for its turn."""
        services, actor, place = self._services, system_actor(run.tenant), run.place
        # What failed may have been too large to come in time: after each failure half as much is asked for.
        size = max(self._page >> run.failures, min(LEAST_PAGE, self._page))
        await services.directory.require_active(run.tenant)
        adapter = await integrations.adapter(services, Socrata, run.tenant, run.city)
        if run.rows_total is None:
            rows = await adapter.count(run.data_set.dataset, place, trace_id=run.trace_id)
            await expect(services.database, run, rows)
        while True:
            await tell(services, run.tenant)
            await wait_for_rows(services.quotas, adapter, size)
            page = await adapter.page(run.data_set.dataset, place, size=size, trace_id=run.trace_id)
            await take_in(services, actor, run, page, lease=self._lease)
            run.failures = 0  # in a row: as the row has it
            if page.last:
                return None
            if self._crowded:
                self._crowded = False
                return await give_back(services.database, run)
            place = page.next

    async def _held(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` while the lease holds; raises ``LeaseLost`` when it does not."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([task], timeout=self._lease / 3))[0]:
                with suppress(Unavailable):  # the next page's commit will tell
                    await renew(self._services.database, run, self._lease)
        finally:
            task.cancel()
            await asyncio.wait([task])
        task.result()

    async def _failed(self, run: Run, failure: LakefrontError) -> None:
        """Try again later where that may help, else let the import have failed."""
        again = _may_pass(failure) and run.failures + 1 < MOST_FAILURES
        pause = max(min(self._first_pause * 2**run.failures, LONGEST_PAUSE), failure.retry_after or 0.0)
        _log.warning(
            "import %s of tenant=%s: %s%s",
            *(run.import_id, run.tenant, failure.code, f", again in {pause:.0f} s" if again else ""),
            extra={"trace_id": run.trace_id, "error_code": failure.code, "integration.provider": Socrata.provider},
        )
        try:
            await fail(self._services.database, run, failure, again_in=pause if again else None)
        except (LeaseLost, Unavailable):
            return  # whoever takes it over sees for themselves
        except Exception:  # noqa: BLE001 - the other imports must outlive it, and the lease ends
            _log.exception("that import %s of tenant=%s failed could not be written", run.import_id, run.tenant)


def _may_pass(failure: LakefrontError) -> bool:
    """Whether what failed may succeed later, nobody having done anything about it."""
    if isinstance(failure, UpstreamDenied):
        return False
    return isinstance(failure, UpstreamError | Unavailable | RateLimited | InternalError)
