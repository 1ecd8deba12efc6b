"""Who may still try to sign in from an address that has failed too often (C11)."""

from typing import Any

import pytest

from lakefront.actor import Actor
from lakefront.errors import Forbidden, RateLimited, Unauthenticated
from lakefront.server.credentials import Credentials
from lakefront.server.limits import Meter, RateLimits, meter
from lakefront.settings import Settings

SCOPE: dict[str, Any] = {"type": "http", "path": "/graphql", "headers": [], "client": ("192.0.2.1", 5)}
TOKEN = Credentials("Bearer aaa.bbb.ccc")


class World:
    """Credentials that hold, tenants that are suspended, and a server with three failures a minute."""

    def __init__(self) -> None:
        self.limits = RateLimits(Settings(rate_limit_anonymous="3/minute"), None)
        self.holding = {"one", "two", "Bearer aaa.bbb.ccc"}
        self.suspended: set[str] = set()
        self.looked_up = 0

    async def authenticate(self, credentials: Credentials) -> Actor:
        self.looked_up += 1
        text = credentials.api_key or credentials.authorization
        if text in self.suspended:
            raise Forbidden
        if text not in self.holding:
            raise Unauthenticated
        return Actor("a", "city", frozenset())

    async def sign_in(self, credentials: Credentials) -> str:
        """How it ended."""
        try:
            await Meter(self.limits, SCOPE).sign_in(credentials, self.authenticate)
        except (Forbidden, RateLimited, Unauthenticated) as refused:
            return refused.code
        return "in"

    async def fail(self) -> None:
        """Until the address may not."""
        while await self.sign_in(key("wrong")) != "rate_limited":
            pass
        self.looked_up = 0


@pytest.fixture
def world() -> World:
    return World()


def key(text: str, user_id: str | None = None) -> Credentials:
    return Credentials(api_key=text, user_id=user_id)


async def test_a_secret_that_held_goes_on_whomever_it_acts_for(world: World) -> None:
    assert await world.sign_in(key("one")) == "in"
    await world.fail()
    for user in (None, "ann", "ben"):
        assert await world.sign_in(key("one", user)) == "in"
    assert await world.sign_in(key("two")) == "rate_limited"
    assert world.looked_up == 3, "what never held is not looked up"


async def test_invented_user_ids_push_nobody_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MOST_KNOWN", 5)
    assert await world.sign_in(key("one")) == "in"
    for number in range(20):
        assert await world.sign_in(key("two", f"user {number}")) == "in"
        assert await world.sign_in(TOKEN) == "in"
    await world.fail()
    assert await world.sign_in(key("one")) == "in"


async def test_a_signed_token_is_looked_at_all_the_same_but_its_failure_counts(world: World) -> None:
    await world.fail()
    assert await world.sign_in(TOKEN) == "in"
    assert await world.sign_in(Credentials("Bearer aaa.bbb.wrong")) == "rate_limited"


async def test_who_brings_signed_tokens_that_fail_is_told_to_wait(world: World) -> None:
    answers = [await world.sign_in(Credentials(f"Bearer a.b.{number}")) for number in range(4)]
    assert answers == ["unauthenticated"] * 3 + ["rate_limited"]


async def test_a_secret_that_failed_did_not_hold_before(world: World) -> None:
    assert await world.sign_in(key("one")) == "in"
    world.holding.discard("one")
    assert await world.sign_in(key("one")) == "unauthenticated"
    await world.fail()
    assert await world.sign_in(key("one")) == "rate_limited"
    assert world.looked_up == 0


async def test_a_suspended_tenants_requests_count_and_it_comes_back_at_once(world: World) -> None:
    assert await world.sign_in(key("one")) == "in"
    world.suspended.add("one")
    assert [await world.sign_in(key("one")) for _ in range(5)] == ["forbidden"] * 3 + ["rate_limited"] * 2
    world.suspended.clear()
    assert await world.sign_in(key("one")) == "in"
