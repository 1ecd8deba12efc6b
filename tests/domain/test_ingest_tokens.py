"""What ingest tokens promise (P9): one stream of one tenant, two of them while one is rotated, for those who may."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lakefront.actor import CITY, KEYS_MANAGE, system_actor
from lakefront.db.database import Database
from lakefront.domain import ingest_tokens
from lakefront.errors import Forbidden
from tests.actors import of_role

ACME = "acme_corp"


async def _holds(database: Database, *texts: str) -> list[bool]:
    return [await ingest_tokens.find(database, text) is not None for text in texts]


async def test_every_tenant_has_its_own(database: Database) -> None:
    tokens = {tenant: await ingest_tokens.rotate(database, system_actor(tenant), "s") for tenant in (CITY, ACME)}
    for tenant, text in tokens.items():
        found = await ingest_tokens.find(database, text)
        assert found is not None
        assert (found.tenant, found.stream, found.expires_at) == (tenant, "s", None)
        assert text.startswith(f"{tenant}{ingest_tokens.MARK}")
    moved = tokens[CITY].replace(CITY, ACME, 1)
    assert await _holds(database, moved, "", "_ingest_x", "nobody_ingest_x", tokens[ACME] + "\0") == [False] * 5
    await ingest_tokens.rotate(database, system_actor(CITY), "s", timedelta(0))
    assert await _holds(database, tokens[CITY], tokens[ACME]) == [False, True]


async def test_two_of_a_stream_hold_while_one_is_rotated(database: Database) -> None:
    actor = system_actor(ACME)
    other = await ingest_tokens.rotate(database, actor, "other")
    texts = [await ingest_tokens.rotate(database, actor, "s") for _ in range(3)]
    assert await _holds(database, *texts, other) == [False, True, True, True]
    assert [token.expires_at is None for token in await ingest_tokens.valid_tokens(database, actor, "s")] == [
        True,
        False,
    ]


async def test_nobody_makes_one_that_may_do_more_than_they(database: Database) -> None:
    service = of_role("service", ACME)
    keeper = replace(service, scopes=service.scopes | {KEYS_MANAGE})
    await ingest_tokens.rotate(database, keeper, "s")
    for lesser in (service, replace(keeper, scopes=frozenset({KEYS_MANAGE})), replace(keeper, streams=frozenset("t"))):
        with pytest.raises(Forbidden):
            await ingest_tokens.rotate(database, lesser, "s")
    with pytest.raises(Forbidden):
        await ingest_tokens.valid_tokens(database, service, "s")
