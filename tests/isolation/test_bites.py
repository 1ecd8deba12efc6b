"""The same checks where a wall is missing: with one of the two they still hold, with none they fail."""

import gzip
from base64 import urlsafe_b64encode

import pytest

from tests.isolation import test_sql
from tests.isolation.leaks import MARKERS, Leak, told
from tests.isolation.siege import besiege
from tests.isolation.test_plans import interleave
from tests.isolation.test_queries import interrogate
from tests.isolation.weaken import unfiltered, without_filters, without_row_security
from tests.isolation.world import World

QUERIES, TRIES = 20, 15


async def test_row_security_alone_holds(world: World) -> None:
    with without_filters(world.served.parts.doors.services.database):
        await interrogate(world, "acme", examples=QUERIES)
        await interleave(world)
        await besiege(world, "acme", examples=TRIES)


async def test_the_filters_alone_hold(world: World) -> None:
    await without_row_security(world.admin)
    await interrogate(world, "acme", examples=QUERIES)
    await interleave(world)
    await besiege(world, "acme", examples=TRIES)


async def test_without_both_queries_leak_and_the_test_says_so(world: World) -> None:
    await without_row_security(world.admin)
    with without_filters(world.served.parts.doors.services.database), pytest.raises(Leak):
        await interrogate(world, "acme", examples=QUERIES, shrink=False)


async def test_without_both_batches_leak_and_the_test_says_so(world: World) -> None:
    await without_row_security(world.admin)
    with without_filters(world.served.parts.doors.services.database), pytest.raises(Leak):
        await interleave(world)


async def test_without_both_the_doors_leak_and_the_test_says_so(world: World) -> None:
    await without_row_security(world.admin)
    with without_filters(world.served.parts.doors.services.database), pytest.raises(Leak):
        await besiege(world, "acme", examples=TRIES, shrink=False)


async def test_without_row_security_sql_leaks_and_the_test_says_so(world: World) -> None:
    await without_row_security(world.admin)
    with pytest.raises(Leak):
        await test_sql.attack(world, "acme")


def test_a_filter_is_found_however_it_is_written() -> None:
    sql = "SELECT 1 FROM events e JOIN heads h ON h.tenant_id = e.tenant_id WHERE e.tenant_id = $3::VARCHAR AND a = $1"
    assert unfiltered(sql) == sql.replace("e.tenant_id = $3::VARCHAR", "($3::VARCHAR = $3::VARCHAR)")
    assert unfiltered("WHERE tenant_id = $1") == "WHERE ($1 = $1)"
    assert unfiltered('WHERE "#1".tenant_id = $3::VARCHAR AND') == "WHERE ($3::VARCHAR = $3::VARCHAR) AND"


@pytest.mark.parametrize("packed", ["plain", "base64", "within base64", "gzip", "quoted"])
def test_a_marker_is_found_however_it_is_packed(packed: str) -> None:
    marker = MARKERS["acme"]
    text = f'["{marker}", 1]'.encode()
    forms = {
        "plain": text.upper(),
        "base64": urlsafe_b64encode(text).rstrip(b"="),
        "within base64": b"x" + urlsafe_b64encode(text).rstrip(b"="),
        "gzip": gzip.compress(text),
        "quoted": "".join(f"%{ord(letter):02x}" for letter in marker).encode(),
    }
    with pytest.raises(Leak):
        told("it", forms[packed], marker)
