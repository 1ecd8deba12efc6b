"""A connection's token is looked at when it expires and when it may have been revoked; an outage decides nothing."""

import asyncio
import logging
import time
from dataclasses import replace

import pytest

from lakefront.actor import Actor
from lakefront.errors import Forbidden, LakefrontError, Unauthenticated
from lakefront.server.credentials import Credentials
from lakefront.server.token_watch import TokenWatch
from tests.graphql.sample import READER, World


async def unheard(_actor: Actor) -> None:
    """A renewed actor that nobody waits for."""


async def soon(ended: list[LakefrontError]) -> None:
    async with asyncio.timeout(5):
        while not ended:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_it_tells_when_the_token_expires() -> None:
    ended: list[LakefrontError] = []
    actor = replace(READER, expires_at=time.time() + 0.1)
    world = World(tokens={"reader": actor})
    watch = TokenWatch(world.authenticate, Credentials("Bearer reader"), actor, ended.append, unheard, "t")
    await soon(ended)
    assert "expired" in ended[0].message
    await watch.close()


async def test_it_tells_of_a_revocation_and_not_of_an_outage() -> None:
    ended: list[LakefrontError] = []
    world = World()
    away = TokenWatch(world.authenticate, Credentials("Bearer down"), READER, ended.append, unheard, "t")
    held = TokenWatch(world.authenticate, Credentials("Bearer reader"), READER, ended.append, unheard, "t")
    tasks = len(asyncio.all_tasks())
    away.look_again()
    held.look_again()
    await asyncio.sleep(0.05)
    assert ended == []
    del world.tokens["reader"]
    held.look_again()
    await soon(ended)
    assert len(ended) == 1
    for watch in (away, held):
        await watch.close()
        watch.look_again()
    assert len(asyncio.all_tasks()) <= tasks


async def test_a_renewed_actor_is_the_one_that_counts() -> None:
    world = World()
    watch = TokenWatch(world.authenticate, Credentials("Bearer reader"), READER, lambda _: None, unheard, "t")
    world.tokens["reader"] = replace(READER, expires_at=time.time() + 60)
    watch.look_again()
    await asyncio.sleep(0.05)
    assert watch.actor.expires_at is not None
    await watch.close()


async def test_a_failure_of_ours_stops_no_watch(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[LakefrontError] = []
    actor = replace(READER, expires_at=time.time() + 0.3)

    async def authenticate(credentials: Credentials) -> Actor:
        raise KeyError(credentials)

    watch = TokenWatch(authenticate, Credentials("Bearer secret"), actor, ended.append, unheard, "the-trace")
    watch._timer.cancel()  # so that nothing but the first check's end sets it
    await soon(ended)
    assert "expired" in ended[0].message
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the-trace" in record.getMessage()
    await watch.close()


async def test_what_is_told_while_it_looks_is_looked_at_once_more() -> None:
    ended: list[LakefrontError] = []
    begun, go_on = asyncio.Event(), asyncio.Event()
    answers: list[LakefrontError | None] = [None, Unauthenticated("Revoked.")]

    async def authenticate(credentials: Credentials) -> Actor:
        del credentials
        answer = answers.pop(0)
        begun.set()
        await go_on.wait()
        if answer is not None:
            raise answer
        return READER

    watch = TokenWatch(authenticate, Credentials("Bearer reader"), READER, ended.append, unheard, "t")
    await begun.wait()
    for _ in range(3):
        watch.look_again()
    go_on.set()
    await soon(ended)
    assert (ended[0].message, answers) == ("Revoked.", [])
    await watch.close()


async def test_a_suspended_tenant_ends_it_and_other_rights_renew_it() -> None:
    ended: list[LakefrontError] = []
    renewed: list[Actor] = []
    answers: list[Actor | Forbidden] = [READER, replace(READER, scopes=frozenset()), Forbidden("Suspended.")]

    async def authenticate(credentials: Credentials) -> Actor:
        del credentials
        answer = answers.pop(0)
        if isinstance(answer, Forbidden):
            raise answer
        return answer

    async def renew(actor: Actor) -> None:
        renewed.append(actor)

    watch = TokenWatch(authenticate, Credentials("Bearer reader"), READER, ended.append, renew, "t")
    for _ in range(2):
        await asyncio.sleep(0.01)
        watch.look_again()
    await soon(ended)
    assert [actor.scopes for actor in renewed] == [frozenset()]
    assert ended[0].message == "Suspended."
    await watch.close()
