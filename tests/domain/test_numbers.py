"""Numbers with exponents: too many of the slow kind are found, and what PostgreSQL writes out is foreseen."""

import time
from uuid import uuid4

import msgspec
import orjson
import pytest

from lakefront.db.database import Database
from lakefront.domain.numbers import MOST_EXTREME, decodes_slowly, written_out


@pytest.mark.parametrize("number", ["1e308", "1E+0299", "5e-324", "179769313486231570000000000000e278"])
def test_many_slow_numbers_are_found(number: str) -> None:
    few, many = (f"[{','.join([number] * count)}]".encode() for count in (MOST_EXTREME, MOST_EXTREME + 1))
    assert not decodes_slowly(few)
    assert decodes_slowly(many)
    assert decodes_slowly(msgspec.Raw(many))


def test_what_passes_is_decoded_at_once() -> None:
    text = f"[{','.join(['5e-324'] * MOST_EXTREME)}]".encode()
    started = time.perf_counter()
    msgspec.json.decode(text)
    assert time.perf_counter() - started < 5  # some 20 ms on an idle machine


def test_other_large_texts_pass() -> None:
    assert not decodes_slowly(orjson.dumps([str(uuid4()) for _ in range(20_000)]))
    assert not decodes_slowly(orjson.dumps([0.1, -122.419, 1e20, 1e-7] * 50_000))


async def test_postgresql_writes_out_no_more_than_was_foreseen(database: Database) -> None:
    for values in ([1e300, -1.5e-300, 1e16, 1.25e-7], ["no 1e-5 number"], [0.1, 12]):
        text = orjson.dumps(values * 100)
        async with database.transaction("city") as transaction:
            [(written,)] = await transaction.fetch("SELECT replace($1::jsonb::text, ', ', ',')", text)
        assert len(written) <= written_out(text) <= 2 * len(written)
