"""Generations of event keys: one partition a day, its days merged into a month once that is past.

One unique index over all keys would slow with its size; a day's stays small. New keys go into the newest generation
and are looked up in all of them. So that one id never gets into two, every append holds an advisory lock shared, and
whoever changes the set of generations holds it exclusively: then no append is under way, and the next see the new set.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from lakefront.db.tables.base import SCHEMA
from lakefront.eventlog.postgres.connections import AppenderConnection

LOCK = 0x6B657973
"""The advisory lock of the generations ("keys")."""

_MERGING = LOCK + 1
"""Held by the one process that merges."""

PREFIX = "event_keys_"

Today = Callable[[], date]

_LIST = """
SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'lakefront.event_keys'::regclass
"""


class Generation(NamedTuple):
    """A partition of ``event_keys`` and the days it holds: [first, until)."""

    first: date
    until: date

    @property
    def table(self) -> str:
        """``event_keys_2026_11_22`` for a day, ``event_keys_2026_11`` for a month."""
        return PREFIX + self.first.strftime("%Y_%m_%d" if self.is_day else "%Y_%m")

    @property
    def is_day(self) -> bool:
        """Whether it holds a single day."""
        return self.until - self.first == timedelta(days=1)


def today() -> date:
    """The day by which generations are cut: in UTC, everywhere the same."""
    return datetime.now(UTC).date()


def day(first: date) -> Generation:
    """The generation of one day."""
    return Generation(first, first + timedelta(days=1))


def month(first: date) -> Generation:
    """The generation of the month in which ``first`` lies."""
    start = first.replace(day=1)
    return Generation(start, (start + timedelta(days=32)).replace(day=1))


def named(table: str) -> Generation:
    """The generation that lives in ``table``; raises ``ValueError`` if that is none."""
    found = re.fullmatch(rf"{PREFIX}(\d{{4}})_(\d\d)(?:_(\d\d))?", table)
    if found is None:
        raise ValueError(f"{table} is not a partition of {SCHEMA}.event_keys")
    year, of_year, of_month = found.groups()
    return day(date(int(year), int(of_year), int(of_month))) if of_month else month(date(int(year), int(of_year), 1))


async def advance(connection: AppenderConnection, to: date) -> None:
    """Make the generation of the day ``to``, unless there is one as new. Waits for the appends that are under way."""
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        if any(generation.until > to for generation in await _generations(connection)):
            return
        await _create(connection, day(to))
        await _attach(connection, day(to))


async def merge(connection: AppenderConnection) -> list[Generation]:
    """Merge the days of every past month into that month's one partition; returns the months that were made.

    A month is past when a newer one has keys, so its days do not change any more: they are copied while appends go on,
    and only the exchange at the end holds them up. One process merges at a time; killed anywhere, it changed nothing.
    """
    made: list[Generation] = []
    while True:
        async with connection.transaction():
            if not await connection.fetchval(f"SELECT pg_try_advisory_xact_lock({_MERGING})"):
                return made
            generations = await _generations(connection)
            due = [found for found in generations if found.is_day and found.until <= month(generations[-1].first).first]
            if not due:
                return made
            made.append(month(due[0].first))
            await _merge(connection, [found for found in due if month(found.first) == made[-1]], made[-1])


async def _merge(connection: AppenderConnection, days: list[Generation], into: Generation) -> None:
    await _create(connection, into)
    await connection.execute(  # so that to attach it needs no scan
        f"ALTER TABLE {SCHEMA}.{into.table} ADD CHECK (generation >= '{into.first}' AND generation < '{into.until}')"
    )
    for old in days:
        copy = f"INSERT INTO {SCHEMA}.{into.table} SELECT * FROM {SCHEMA}.{old.table}"  # noqa: S608 - our own names
        await connection.execute(copy)
    await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
    for old in days:
        await connection.execute(f"ALTER TABLE {SCHEMA}.event_keys DETACH PARTITION {SCHEMA}.{old.table}")
        await connection.execute(f"DROP TABLE {SCHEMA}.{old.table}")
    await _attach(connection, into)


async def _generations(connection: AppenderConnection) -> list[Generation]:
    return sorted(named(row["relname"]) for row in await connection.fetch(_LIST))


async def _create(connection: AppenderConnection, new: Generation) -> None:
    table = f"{SCHEMA}.{new.table}"
    await connection.execute(
        f"""
        CREATE TABLE {table} (LIKE {SCHEMA}.event_keys);
        CREATE UNIQUE INDEX {new.table}_dedupe ON {table} (dedupe);
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY
        """
    )


async def _attach(connection: AppenderConnection, new: Generation) -> None:
    bounds = f"FROM ('{new.first}') TO ('{new.until}')"
    await connection.execute(
        f"ALTER TABLE {SCHEMA}.event_keys ATTACH PARTITION {SCHEMA}.{new.table} FOR VALUES {bounds}"
    )
