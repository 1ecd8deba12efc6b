"""Loaders: what is asked within a turn goes together, as one actor, and is read once."""

import asyncio
from dataclasses import replace

import pytest

from lakefront.actor import PERMITS_READ, Actor
from lakefront.db.query import Compare, Join, Operator, PageRequest
from lakefront.domain.services import Services
from lakefront.errors import Forbidden
from lakefront.graphql.permits import ADDRESSES, EVENTS, PERMITS
from lakefront.loaders import Loaders
from tests.graphql.conftest import RecordingDatabase

EVENTS_OF = Join(EVENTS, (("permit_id", "partition_key"),))
ADDRESSES_OF = Join(ADDRESSES, (("permit_id", "permit_id"),))
FIRST = PageRequest(EVENTS.complete(), 2)


@pytest.fixture
def loaders(services: Services, recorder: RecordingDatabase, actor: Actor, city: None) -> Loaders:
    return Loaders(replace(services, database=recorder), actor)


async def test_rows_by_key_go_together_and_are_read_once(loaders: Loaders, recorder: RecordingDatabase) -> None:
    keys = [("P003",), ("none",), ("P001",), ("P003",)]
    rows = await asyncio.gather(*(loaders.row(PERMITS, key) for key in keys))
    assert [row and row["permit_id"] for row in rows] == ["P003", None, "P001", "P003"]
    assert (await loaders.row(PERMITS, ("P001",))) is rows[2]
    assert len(recorder.statements) == 1


async def test_pages_of_many_parents_are_one_statement_for_each_request(
    loaders: Loaders, recorder: RecordingDatabase
) -> None:
    keys = [(f"P{number:03d}",) for number in range(20)]
    pages = await asyncio.gather(*(loaders.page_of(EVENTS_OF, FIRST, key) for key in keys))
    assert [len(page.rows) for page in pages] == [min(number % 8, 2) for number in range(20)]
    assert [page.more for page in pages] == [number % 8 > 2 for number in range(20)]
    assert len(recorder.statements) == 1
    await asyncio.gather(*(loaders.page_of(EVENTS_OF, replace(FIRST, limit=3), key) for key in keys))
    assert len(recorder.statements) == 2


async def test_equal_requests_share_a_loader_whoever_made_them(loaders: Loaders, recorder: RecordingDatabase) -> None:
    def request() -> PageRequest:
        return PageRequest(EVENTS.complete(), 2, Compare("event_type", Operator.IN, ("permit_filed",)))

    one, two = await asyncio.gather(*(loaders.page_of(EVENTS_OF, request(), (key,)) for key in ("P001", "P002")))
    assert (len(one.rows), len(two.rows)) == (1, 1)
    assert len(recorder.statements) == 1


async def test_more_keys_than_a_statement_takes_are_split(loaders: Loaders, recorder: RecordingDatabase) -> None:
    found = await asyncio.gather(*(loaders.related(ADDRESSES_OF, (f"P{number:03d}",)) for number in range(1500)))
    assert [len(rows) for rows in found] == [number % 3 if number < 60 else 0 for number in range(1500)]
    assert len(recorder.statements) == 2


async def test_loaders_of_two_tenants_never_meet(services: Services, recorder: RecordingDatabase, city: None) -> None:
    both = [
        Loaders(replace(services, database=recorder), Actor("someone", tenant, frozenset({PERMITS_READ})))
        for tenant in ("city", "other")
    ]
    rows = await asyncio.gather(*(loaders.row(PERMITS, ("P001",)) for loaders in both))
    assert [row and row["neighborhood"] for row in rows] == ["Sunset/Parkside", "Secret"]
    assert len(recorder.statements) == 2


async def test_every_read_checks_the_scope(services: Services, recorder: RecordingDatabase) -> None:
    loaders = Loaders(replace(services, database=recorder), Actor("someone", "city", frozenset()))
    for read in (
        loaders.row(PERMITS, ("P001",)),
        loaders.related(ADDRESSES_OF, ("P001",)),
        loaders.page(PERMITS, PageRequest(PERMITS.complete(), 1)),
        loaders.page_of(EVENTS_OF, FIRST, ("P001",)),
        loaders.count(PERMITS, None),
        loaders.count_of(EVENTS_OF, None, ("P001",)),
    ):
        with pytest.raises(Forbidden):
            await read
    assert not recorder.statements
