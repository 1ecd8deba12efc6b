"""What must hold when the dust has settled: at the city, in PostgreSQL, and in what was written about it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from lakefront.actor import CITY
from lakefront.simulator import Simulator
from tests.chaos.city.people import SECRETS, Report
from tests.chaos.journal import Journal

FILED: Final = frozenset({"OPEN", "IN_PROGRESS", "CLOSED"})

_UNDER_WAY: Final = """
SELECT (SELECT count(*) FROM lakefront.outbox WHERE kind = 'service_request.submit' AND state IN ('QUEUED', 'RUNNING'))
  + (SELECT count(*) FROM lakefront.service_request_relay)
"""

_REQUESTS: Final = """
SELECT r.request_id, r.state, r.external_id, r.external_token, r.version,
  EXISTS (SELECT FROM lakefront.dead_letters d
    WHERE d.tenant_id = r.tenant_id AND d.key = r.request_id AND d.state = 'WAITING') AS dead,
  EXISTS (SELECT FROM lakefront.service_request_callers c
    WHERE c.tenant_id = r.tenant_id AND c.request_id = r.request_id) AS caller
FROM lakefront.service_requests r WHERE r.tenant_id = $1 AND r.source = 'lakefront'
"""

_TOLD: Final = """
SELECT partition_key, count(*), count(DISTINCT event_id) FROM lakefront.events
WHERE tenant_id = $1 AND stream = 'service-request-events' GROUP BY partition_key
"""


async def settled(dsn: str, journal: Journal, *, patience: float) -> None:
    """Wait until no job is under way, and the log knows all; else, after ``patience`` seconds, it is a violation."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(patience):
            while await connection.fetchval(_UNDER_WAY):  # noqa: ASYNC110 - others move the database
                await asyncio.sleep(0.5)
    except TimeoutError:
        left = await connection.fetch(
            "SELECT provider, state, error_code, count(*) FROM lakefront.outbox "
            "WHERE state IN ('QUEUED', 'RUNNING') GROUP BY 1, 2, 3"
        )
        journal.violation(f"jobs still under way after {patience:.0f} s: {[dict(row) for row in left]}")
    finally:
        await connection.close()


async def verify(dsn: str, reports: Sequence[Report], city: Simulator, journal: Journal) -> None:
    """Check every promise about ``reports``; whatever is broken goes into the journal."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = {row["request_id"]: dict(row) for row in await connection.fetch(_REQUESTS, CITY)}
        told = {key: (events, distinct) for key, events, distinct in await connection.fetch(_TOLD, CITY)}
    finally:
        await connection.close()
    tickets = _tickets(city)
    _verify_numbers(reports, rows, journal)
    broken: defaultdict[str, list[str]] = defaultdict(list)
    for report in reports:
        for request_id in report.request_ids:
            row = rows.get(request_id)
            if row is not None:
                journal.counts[f"requests that are {row['state']}"] += 1
                for what in _broken(row, tickets[report.word]):
                    broken[what].append(f"{report.provider} {request_id}")
                if told.get(request_id, (0, 0)) != (row["version"], row["version"]):
                    broken["has changes that the log lacks, or has twice"].append(request_id)
    for what, which in broken.items():
        journal.violation(what, which)
    journal.counts["tickets at the city"] = sum(map(len, tickets.values()))


def _tickets(city: Simulator) -> Mapping[str, list[Any]]:
    """The city's tickets by the word of the report that each is about."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for ticket in city.tickets.filed:
        word = next((part for part in ticket.description.split() if part.startswith("pothole-")), "")
        found[word].append(ticket)
    return found


def _verify_numbers(reports: Sequence[Report], rows: Mapping[str, Any], journal: Journal) -> None:
    numbers = Counter(request_id for report in reports for request_id in report.request_ids)
    checks = {
        "got no number": [str(report.number) for report in reports if not report.request_ids],
        "got two numbers for one key": [str(report.number) for report in reports if len(report.request_ids) > 1],
        "numbers that two reports got": [number for number, count in numbers.items() if count > 1],
        "told to somebody, and not there": [number for number in numbers if number not in rows],
        "there, and told to nobody": [number for number in rows if number not in numbers],
    }
    for what, which in checks.items():
        if which:
            journal.violation(what, which)


def _broken(row: Mapping[str, Any], tickets: Sequence[Any]) -> Iterable[str]:
    """What is wrong with a request that has these tickets at the city."""
    state = row["state"]
    if len(tickets) > 1:
        yield f"filed {len(tickets)} times"
    if state in FILED:
        if not tickets:
            yield "is open here, and the city has no ticket"
        elif row["external_id"] not in {None, *(ticket.id for ticket in tickets)}:
            yield "has another number than its ticket"
        elif row["external_id"] is None and row["external_token"] is None:
            yield "is open here, without a number or a token"
        if row["caller"]:
            yield "is filed, and who reported it is still stored"
    elif not row["dead"]:
        yield f"is {state}, and there is no dead letter of it"


def verify_quiet(texts: Mapping[str, str], journal: Journal) -> None:
    """Nothing personal is in any of ``texts``, by their names: logs, spans, dead letters."""
    for name, text in texts.items():
        for secret in SECRETS:
            if secret in text:
                at = text.index(secret)
                journal.violation(f"{name} has '{secret}': …{text[max(0, at - 150) : at + 50]}…")


_QUIET: Final = ("dead_letters", "outbox", "events", "service_request_changes", "idempotency_keys")
"""Tables in which nothing may be anybody's."""


async def quiet_rows(dsn: str) -> dict[str, str]:
    """All that stands in those tables."""
    connection = await asyncpg.connect(dsn)
    try:
        return {
            f"a row of {table}": "\n".join(
                row[0] for row in await connection.fetch(f"SELECT to_jsonb(t)::text FROM lakefront.{table} t")
            )
            for table in _QUIET
        }
    finally:
        await connection.close()
