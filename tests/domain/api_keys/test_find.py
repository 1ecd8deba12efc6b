"""Signing in with a key: the text alone opens, nothing of it is kept, and timing tells nothing (T4)."""

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest

from lakefront.db.database import Database
from lakefront.domain import api_keys
from lakefront.domain.api_keys import MARK, NewKey, looks_like_one
from tests.domain.api_keys.keepers import ACME, Keeping, admin


@pytest.fixture
async def made(keeping: Keeping) -> NewKey:
    return await api_keys.create(keeping, admin(), "CI", ["service", "reader"])


async def test_the_text_finds_the_key(keeping: Keeping, made: NewKey) -> None:
    tenant, random = made.text.split(MARK, 1)
    assert (tenant, random[:8]) == (ACME, made.key.prefix)
    assert len(random) == 43, "256 bits in base64"
    found = await api_keys.find(keeping.database, made.text)
    assert found is not None
    assert (found.key_id, found.tenant, found.roles) == (made.key.key_id, ACME, ("reader", "service"))
    assert found.expires_at - found.created_at == timedelta(days=90)


async def test_nothing_else_does(keeping: Keeping, made: NewKey) -> None:
    text, random = made.text, made.text.removeprefix(ACME + MARK)
    other = "A" if text[-1] != "A" else "B"
    for wrong in (
        *("", MARK, ACME, ACME + MARK, MARK + random, random, f"{ACME}{MARK}{random[:8]}", text[:-1] + other),
        *(text + "A", text + "\0", " " + text, text.upper(), f"city{MARK}{random}", f"nobody{MARK}{random}"),
        *("é" + text, text + "\ud800", "x" * 10_000 + text, f"'; DROP TABLE x; --{MARK}{random}"),
    ):
        assert await api_keys.find(keeping.database, wrong) is None, wrong


async def test_the_random_part_may_hold_a_mark_and_share_its_beginning(keeping: Keeping) -> None:
    first, second = [await api_keys.create(keeping, admin(), "CI", ["reader"]) for _ in range(2)]
    text = f"{ACME}{MARK}{second.key.prefix}{MARK}x"
    async with keeping.database.transaction(ACME) as transaction:
        await transaction.execute(
            "UPDATE tenants.tenant_api_keys SET prefix = $2, sha256 = sha256(convert_to($3, 'UTF8')) "
            "WHERE tenant_id = $1 AND key_id = $4",
            *(ACME, second.key.prefix, text, first.key.key_id),
        )
    found = await api_keys.find(keeping.database, text)
    assert found is not None
    assert found.key_id == first.key.key_id
    assert await keeping.holds(second)


async def test_what_is_kept_does_not_hold_the_text(database: Database, made: NewKey) -> None:
    async with database.transaction(ACME) as transaction:
        [(row,)] = await transaction.fetch("SELECT k::text FROM tenants.tenant_api_keys k")
    assert made.text.removeprefix(ACME + MARK + made.key.prefix) not in row
    assert made.text not in repr(made)


async def test_found_or_not_the_same_is_hashed_and_compared(keeping: Keeping, made: NewKey) -> None:
    counts = []
    for text in (made.text, made.text[:-4] + "AAAA", f"{ACME}{MARK}{'A' * 43}", f"nobody{MARK}{'A' * 43}"):
        calls: Counter[str] = Counter()

        def count(_frame: FrameType, event: str, called: Any, calls: Counter[str] = calls) -> None:
            if event == "c_call" and called.__name__ in ("openssl_sha256", "compare_digest"):
                calls[called.__name__] += 1

        sys.setprofile(count)
        try:
            await api_keys.find(keeping.database, text)
        finally:
            sys.setprofile(None)
        counts.append(calls)
    assert counts == [{"openssl_sha256": 1, "compare_digest": 1}] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("acme_api_x", True, id="a key"),
        pytest.param("acme_api_x_ingest_y", True, id="an ingest token's mark in the random part"),
        pytest.param("acme_ingest_x_api_y", False, id="a key's mark in an ingest token"),
        pytest.param("acme_ingest_x", False, id="an ingest token"),
        pytest.param("e_api_.x.y", False, id="a JWT"),
        pytest.param("acme", False, id="neither"),
    ],
)
def test_what_looks_like_a_key(text: str, expected: bool) -> None:
    assert looks_like_one(text) is expected


async def test_the_look_up_goes_by_the_prefix(database: Database) -> None:
    async with database.transaction(ACME) as transaction:
        await transaction.execute(
            "INSERT INTO tenants.tenant_api_keys "
            "(tenant_id, key_id, name, prefix, sha256, roles, created_at, created_by, expires_at) "
            "SELECT $1, gen_random_uuid(), 'x', left(md5(n::text), 8), sha256(n::text::bytea), '{reader}', now(), 'x', "
            "now() + '1 day' FROM generate_series(1, 3000) n",
            ACME,
        )
        plan = await transaction.fetch(
            "EXPLAIN SELECT sha256 FROM tenants.tenant_api_keys WHERE tenant_id = 'acme_corp' AND prefix = 'abcdefgh' "
            "AND revoked_at IS NULL AND expires_at > now()"
        )
    assert "tenant_api_keys_by_prefix" in "".join(line for (line,) in plan)


async def test_uses_are_written_together(keeping: Keeping, made: NewKey) -> None:
    citys = await api_keys.create(keeping, admin("city"), "CI", ["reader"])
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    uses = {
        (ACME, made.key.key_id): at,
        ("city", citys.key.key_id): at,
        (ACME, uuid4()): at,
        (ACME, citys.key.key_id): at,
    }
    await api_keys.used(keeping.database, {**uses, (ACME, made.key.key_id): at - timedelta(hours=1)})
    await api_keys.used(keeping.database, uses)
    await api_keys.used(keeping.database, {(ACME, made.key.key_id): at - timedelta(hours=2)})
    await api_keys.used(keeping.database, {})
    for tenant in (ACME, "city"):
        [key] = await api_keys.keys(keeping, admin(tenant))
        assert key.last_used_at == at


async def test_two_servers_write_the_same_uses_at_once(keeping: Keeping) -> None:
    keys = [(await api_keys.create(keeping, admin(), f"{n}", ["reader"])).key.key_id for n in range(20)]
    uses = [((ACME, key), datetime.now(UTC)) for key in keys]
    await asyncio.gather(*(api_keys.used(keeping.database, dict(uses[::step])) for _ in range(10) for step in (1, -1)))
    assert all(key.last_used_at for key in await api_keys.keys(keeping, admin()))
