"""A provider's day holds over servers, whoever is killed and whatever is away: it stands in PostgreSQL (C11)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakefront.adapters.calls.quotas import Meter, OwnLedger, ProviderQuotas, Spent, Taken, advance
from lakefront.adapters.endpoint import Key
from lakefront.db.database import Database
from lakefront.domain.quota_ledger import QuotaLedger
from lakefront.errors import Unavailable
from tests.databases import NewDatabase

METER = Meter(Key("city", "geoclient", "nyc"))


@pytest.fixture
def ledger(database: Database) -> QuotaLedger:
    return QuotaLedger(database)


async def _passes(quotas: ProviderQuotas, daily: int, meter: Meter = METER) -> bool:
    try:
        await quotas.take(meter, daily=daily, rate=None, patience=0)
    except (Spent, Unavailable):
        return False
    return True


async def used(database: Database) -> list[tuple[date, int, int]]:
    """Of each day: what is used, of how many."""
    async with database.transaction("city") as transaction:
        rows = await transaction.fetch("SELECT day, used, quota FROM lakefront.provider_quotas ORDER BY day")
    return [tuple(row) for row in rows]


@given(left=st.integers(-5, 50_000), wanted=st.integers(0, 2000))
def test_an_advance_is_what_is_wanted_or_nothing(left: int, wanted: int) -> None:
    granted = advance(left, wanted)
    assert granted == 0 or wanted <= granted <= max(left, 0)
    assert (granted > 0) == (0 < wanted <= left)


async def test_servers_share_a_day_exactly(ledger: QuotaLedger) -> None:
    servers = [ProviderQuotas(None, ledger), ProviderQuotas(None, ledger)]
    passed = await asyncio.gather(*(_passes(servers[turn % 2], 17) for turn in range(60)))
    assert passed.count(True) == 17
    assert 0 in {left.remaining for server in servers for _, left in server.left()}


async def test_many_at_once_take_one_advance(ledger: QuotaLedger, database: Database) -> None:
    quotas = ProviderQuotas(None, ledger)
    assert all(await asyncio.gather(*(_passes(quotas, 1000) for _ in range(40))))
    assert [left.remaining for _, left in quotas.left()] == [960]
    assert [row[1:] for row in await used(database)] == [(50, 1000)]


async def test_who_ends_gives_back_what_was_taken_in_advance(ledger: QuotaLedger) -> None:
    one = ProviderQuotas(None, ledger)
    assert await _passes(one, 100)
    await one.close()
    other = ProviderQuotas(None, ledger)
    assert [await _passes(other, 100) for _ in range(101)].count(True) == 99


async def test_a_lowered_quota_holds_for_what_is_in_hand(ledger: QuotaLedger, database: Database) -> None:
    quotas = ProviderQuotas(None, ledger)
    assert await _passes(quotas, 1000)
    assert [await _passes(quotas, 3) for _ in range(4)] == [True, True, False, False]
    assert not await _passes(quotas, 0)
    assert [row[1:] for row in await used(database)] == [(3, 0)]


async def test_what_is_given_back_of_a_larger_quota_is_there_for_others(ledger: QuotaLedger) -> None:
    one, other = ProviderQuotas(None, ledger), ProviderQuotas(None, ledger)
    assert await _passes(one, 1000)
    assert await _passes(one, 100)
    await one.close()
    assert [await _passes(other, 100) for _ in range(100)].count(True) == 98


async def test_a_day_is_forgotten_after_a_month(ledger: QuotaLedger, database: Database) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    quotas = ProviderQuotas(None, ledger, now=lambda: now)
    for days in (0, 1, 40):
        now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=days)
        assert await _passes(quotas, 10)
    assert [day for day, _, _ in await used(database)] == [date(2026, 4, 10)]


async def test_lanes_and_tenants_have_quotas_of_their_own(ledger: QuotaLedger) -> None:
    quotas = ProviderQuotas(None, ledger)
    other = METER._replace(key=METER.key._replace(tenant="other"))
    each = (METER, METER._replace(lane="second"), other)
    assert [await _passes(quotas, 1, meter) for meter in (*each, *each)] == [True] * 3 + [False] * 3


async def test_while_the_ledger_is_away_what_is_in_hand_goes_on(new_database: NewDatabase) -> None:
    async with new_database() as dsn:
        database = Database(dsn)
        await database.open()
        quotas = ProviderQuotas(None, QuotaLedger(database))
        assert await _passes(quotas, 100)
        await database.close()
        assert [await _passes(quotas, 100) for _ in range(10)].count(True) == 4
        with pytest.raises(Unavailable):
            await quotas.take(METER, daily=100, rate=None, patience=0)
        await quotas.close()


@pytest.fixture(scope="module")
async def shared(new_database: NewDatabase) -> AsyncIterator[Database]:
    """One database for all examples."""
    async with new_database() as dsn:
        opened = Database(dsn)
        await opened.open()
        yield opened
        await opened.close()


STEPS = st.lists(st.tuples(st.sampled_from(["take"] * 8 + ["kill", "stop"]), st.integers(0, 1)), max_size=60)


@settings(max_examples=25)
@given(daily=st.integers(0, 60), steps=STEPS)
async def test_a_quota_is_never_exceeded(shared: Database, daily: int, steps: list[tuple[str, int]]) -> None:
    """Two servers, each killed or stopped at any time, and started anew: only a kill loses what was in hand."""
    meter, ledger = Meter(Key(uuid4().hex, "geoclient", "")), QuotaLedger(shared)
    servers = [ProviderQuotas(None, ledger) for _ in range(2)]
    passed, killed = 0, False
    for step, who in steps:
        if step == "take":
            passed += await _passes(servers[who], daily, meter)
            continue
        if step == "stop":
            await servers[who].close()
        killed |= step == "kill"
        servers[who] = ProviderQuotas(None, ledger)
    assert passed <= daily
    for server in servers:
        await server.close()
    after = ProviderQuotas(None, ledger)
    left = [await _passes(after, daily, meter) for _ in range(daily + 1)].count(True)
    assert left <= daily - passed
    if not killed:
        assert left == daily - passed


async def test_a_process_alone_counts_as_the_ledger_does(ledger: QuotaLedger) -> None:
    own, today = OwnLedger(), date(2026, 3, 1)
    for wanted, back in ((1, 0), (0, 1), (5, 0), (200, 0), (0, 500), (40, 0)):
        given_back = {"limit": 100, "wanted": wanted, "back": back}
        assert await own.take(METER, today, **given_back) == await ledger.take(METER, today, **given_back)
    assert await own.take(METER, date(2026, 3, 2), limit=100, wanted=1) == Taken(5, 5)
