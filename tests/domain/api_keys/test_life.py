"""The life of keys, at random: they are made, rotated, revoked, time passes, and each holds when a model says so."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lakefront.db.database import Database
from lakefront.domain import api_keys
from lakefront.domain.api_keys import ApiKeyState, NewKey
from lakefront.errors import Conflict
from tests.domain.api_keys.keepers import Keeping, admin

_tenants = count()

OVERLAPS = st.sampled_from((24, 0, 1, 72, 30 * 24)).map(lambda hours: timedelta(hours=hours))
NEARLY_ALWAYS = st.sampled_from((True, True, True, True, False))


@dataclass(eq=False)
class Key:
    """What the model knows of a key; times are hours and days of its own clock, from 0 on."""

    made: NewKey
    ends: timedelta
    lifetime: timedelta
    revoked: bool = False
    replaced: bool = False
    chain: list["Key"] = field(default_factory=list)

    def state(self, now: timedelta) -> ApiKeyState:
        if self.revoked:
            return ApiKeyState.REVOKED
        if self.ends <= now:
            return ApiKeyState.EXPIRED
        return ApiKeyState.ROTATED if self.replaced else ApiKeyState.ACTIVE

    def holds(self, now: timedelta) -> bool:
        return self.state(now) in (ApiKeyState.ACTIVE, ApiKeyState.ROTATED)


class Life(RuleBasedStateMachine):
    """A tenant's keys in PostgreSQL beside a model of them. Time passes by moving all times of the keys back."""

    dsn = ""
    made: Bundle[Key] = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.keeping = self.runner.run(self._open())
        self.actor = admin(f"tenant{next(_tenants)}")
        self.now = timedelta(0)
        self.keys: list[Key] = []

    async def _open(self) -> Keeping:
        database = Database(self.dsn, pool_size=4)
        await database.open()
        return Keeping.on(database)

    def teardown(self) -> None:
        self.runner.run(self.keeping.database.close())
        self.runner.close()

    @rule(target=made, days=st.sampled_from((90, 1, 7, 365)))
    def create(self, days: int) -> Key:
        ttl = timedelta(days=days)
        key = Key(
            self.runner.run(api_keys.create(self.keeping, self.actor, "CI", ["reader"], ttl)), self.now + ttl, ttl
        )
        key.chain.append(key)
        self.keys.append(key)
        return key

    @rule(target=made, key=made, overlap=OVERLAPS, newest=NEARLY_ALWAYS)
    def rotate(self, key: Key, overlap: timedelta, newest: bool) -> Key:
        old = key.chain[-1] if newest else key
        work = api_keys.rotate(self.keeping, self.actor, old.made.key.key_id, overlap)
        if old.state(self.now) is not ApiKeyState.ACTIVE:
            with pytest.raises(Conflict):
                self.runner.run(work)
            return old
        new = Key(self.runner.run(work), self.now + old.lifetime, old.lifetime, chain=old.chain)
        old.replaced, old.ends = True, min(old.ends, self.now + overlap)
        new.chain.append(new)
        self.keys.append(new)
        return new

    @rule(key=made)
    def revoke(self, key: Key) -> None:
        self.runner.run(api_keys.revoke(self.keeping, self.actor, key.made.key.key_id))
        key.revoked = True

    @rule(key=made, overlap=OVERLAPS)
    def only_try(self, key: Key, overlap: timedelta) -> None:
        tried: list[Any] = [api_keys.revoke(self.keeping, self.actor, key.made.key.key_id, dry_run=True)]
        if key.state(self.now) is ApiKeyState.ACTIVE:
            tried.append(api_keys.rotate(self.keeping, self.actor, key.made.key.key_id, overlap, dry_run=True))
        for work in tried:
            self.runner.run(work)

    @rule(passed=st.sampled_from((1, 12, 24, 7 * 24, 30 * 24)).map(lambda hours: timedelta(hours=hours)))
    def wait(self, passed: timedelta) -> None:
        async def move() -> None:
            async with self.keeping.database.transaction(self.actor.tenant) as transaction:
                await transaction.execute(
                    "UPDATE tenants.tenant_api_keys SET created_at = created_at - $2::interval, "
                    "expires_at = expires_at - $2::interval, revoked_at = revoked_at - $2::interval "
                    "WHERE tenant_id = $1",
                    *(self.actor.tenant, passed),
                )

        self.runner.run(move())
        self.now += passed

    @invariant()
    def a_key_holds_when_the_model_says_so(self) -> None:
        async def look() -> list[bool]:
            return await asyncio.gather(*(self.keeping.holds(key.made) for key in self.keys))

        assert self.runner.run(look()) == [key.holds(self.now) for key in self.keys]

    @invariant()
    def the_list_tells_the_same(self) -> None:
        listed = self.runner.run(api_keys.keys(self.keeping, self.actor))
        now = datetime.now(UTC)
        assert {key.key_id: key.state(now) for key in listed} == {
            key.made.key.key_id: key.state(self.now) for key in self.keys
        }

    @invariant()
    def one_of_a_chain_is_active_at_most(self) -> None:
        for key in self.keys:
            assert sum(one.state(self.now) is ApiKeyState.ACTIVE for one in key.chain) <= 1


def test_a_key_holds_exactly_when_it_should(dsn: str) -> None:
    run_state_machine_as_test(
        type("LifeOnPostgreSQL", (Life,), {"dsn": dsn}),
        settings=settings(max_examples=20, stateful_step_count=20, deadline=None),
    )
