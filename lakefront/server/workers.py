"""What runs beside the doors: the projections, the sealer, the log's upkeep, and what waits for outside systems."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Final

from redis.asyncio import Redis

from lakefront.db.database import READING_THE_LOG, Database
from lakefront.db.listener import Listener
from lakefront.domain import alerts, forgetting, notices, open_data, outbox, service_requests
from lakefront.domain.outbox import OutboxWorker
from lakefront.domain.services import Services
from lakefront.domain.tenants import bi
from lakefront.errors import Unavailable
from lakefront.eventlog.backlog import Backlog
from lakefront.eventlog.lake.locks import Locks
from lakefront.eventlog.lake.manifest import CHANNEL as LAKE_CHANNEL
from lakefront.eventlog.lake.sealer import Sealer
from lakefront.eventlog.postgres import PostgresLog
from lakefront.eventlog.postgres.append import CHANNEL as EVENTS_CHANNEL
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.eventlog.projections.runner import ProjectionRunner
from lakefront.settings import Settings

MAINTENANCE = 3600.0
"""Seconds between two looks at what the log has to tidy up."""

OVERLONG_EVERY = 30.0
"""Seconds between two looks for sessions of BI tools whose transaction is open for too long."""

NOTICES_EVERY, NOTICES_POLL = 0.5, 5.0
"""Seconds between two looks at what notices are due for, and between those that nothing calls for: they have time."""

HANDLERS: Final[tuple[outbox.Handler, ...]] = (service_requests.Filing(), notices.Sender(), *alerts.HANDLERS)
"""How the outbox' jobs are carried out: one of each kind. A domain that enqueues jobs adds its own here."""

_log = logging.getLogger(__name__)


async def start(
    settings: Settings,
    services: Services,
    redis: "Redis | None",
    listener: Listener,
    sealer: Sealer,
    stack: AsyncExitStack,
) -> None:
    """Start every worker and the listener, whose notices wake them; the stack stops them in reverse."""
    assert isinstance(services.log, PostgresLog)
    background = Database(services.database.dsn, pool_size=2, planner=READING_THE_LOG)
    await background.open()
    stack.push_async_callback(background.close)
    projection = ProjectionRunner(
        background,
        PERMITS,
        Backlog(services.provisioner),
        poll=settings.poll_interval,
        busy=services.log.appending,
    )
    listener.on(EVENTS_CHANNEL, projection.notice)
    listener.watch(lambda _: projection.wake())
    listener.watch(lambda _: sealer.wake())
    listener.on(LAKE_CHANNEL, services.meters.sealed)
    outside = OutboxWorker(services, redis, HANDLERS)
    listener.on(outbox.CHANNEL, outside.notice)
    listener.watch(lambda _: outside.wake())
    _notices(services, background, listener, stack)
    imports = open_data.OpenDataRunner(services)
    listener.on(open_data.CHANNEL, imports.notice)
    _service_requests(settings, services, listener, stack)
    await listener.open()
    stack.push_async_callback(listener.close)
    tally = services.meters.tally
    stack.push_async_callback(tally.close, services.database)
    stack.push_async_callback(outside.close)
    stack.enter_context(_worker("outbox", outside.run))
    stack.enter_context(_worker("counting", partial(tally.keep_writing, services.database)))
    stack.enter_context(_worker("projection permits", projection.run))
    stack.enter_context(_worker("sealer", sealer.run))
    stack.enter_context(_worker("imports of open data", imports.run))
    stack.enter_context(_worker("maintenance", partial(_maintain, services.log)))
    stack.enter_context(_worker("forgetting", partial(_forget, services)))
    stack.enter_context(_worker("overlong sessions", partial(_end_overlong, services.provisioner)))
    _alerts(settings, services, stack)


def _notices(services: Services, database: Database, listener: Listener, stack: AsyncExitStack) -> None:
    """What turns events into notices: a reader of each stream that rules can be about."""
    for stream in notices.STREAMS:
        readers = notices.Readers(services.provisioner)
        runner = ProjectionRunner(database, notices.projection(stream), readers, poll=NOTICES_POLL, pace=NOTICES_EVERY)
        listener.on(EVENTS_CHANNEL, partial(_appended, readers, runner))
        listener.on(notices.CHANNEL, partial(_ruled, stream, runner))
        listener.watch(lambda _, runner=runner: runner.wake())  # type: ignore[misc] # bound now
        stack.enter_context(_worker(f"notices of {stream}", runner.run))
    stack.enter_context(_worker("reporters who were told", notices.Reporters(services).run))


def _appended(readers: notices.Readers, runner: ProjectionRunner, notice: str) -> None:
    if readers.wants(notice):
        runner.notice(notice)


def _ruled(stream: str, runner: ProjectionRunner, about: str) -> None:
    if about == stream:
        runner.wake()


def _service_requests(settings: Settings, services: Services, listener: Listener, stack: AsyncExitStack) -> None:
    """What tells the log of requests, and asks cities where they stand."""
    locks = Locks(services.database.dsn)
    stack.push_async_callback(locks.close)
    relay = service_requests.Relay(services, locks, poll=settings.poll_interval)
    listener.on(service_requests.CHANNEL, relay.notice)
    listener.watch(lambda _: relay.notice())
    interval, pause = settings.service_request_poll_interval, settings.service_request_poll_pause
    poller = service_requests.Poller(services, locks, interval=interval, pause=pause)
    stack.enter_context(_worker("service requests to the log", relay.run))
    stack.enter_context(_worker("polling service requests", poller.run))


def _alerts(settings: Settings, services: Services, stack: AsyncExitStack) -> None:
    locks = Locks(services.database.dsn)
    stack.push_async_callback(locks.close)
    evaluator = alerts.Evaluator(services, locks, interval=settings.alert_interval)
    stack.push_async_callback(evaluator.close)
    stack.enter_context(_worker("alerts", evaluator.run))


@contextmanager
def _worker(name: str, work: Callable[[], Awaitable[None]]) -> Iterator[None]:
    task = asyncio.ensure_future(work())
    task.add_done_callback(partial(_ended, name))
    try:
        yield
    finally:
        task.cancel()


def _ended(name: str, task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.critical("worker %s ended", name, exc_info=task.exception())


async def _maintain(log: PostgresLog) -> None:
    while True:
        try:
            await log.maintain()
        except Exception:  # noqa: BLE001 - upkeep that failed is due again in an hour
            _log.exception("the log's upkeep failed")
        await asyncio.sleep(MAINTENANCE)


async def _forget(services: Services) -> None:
    while True:
        await asyncio.sleep(MAINTENANCE)
        try:
            await forgetting.forget(services)
        except Unavailable:
            _log.info("what ended long ago was not forgotten: PostgreSQL is away")


async def _end_overlong(provisioner: Database) -> None:
    while True:
        try:
            await bi.end_overlong(provisioner)
        except Unavailable:
            _log.info("sessions of BI tools were not looked at: PostgreSQL is away")
        except Exception:  # noqa: BLE001 - the next look is due in a moment
            _log.exception("the look at sessions of BI tools failed")
        await asyncio.sleep(OVERLONG_EVERY)
