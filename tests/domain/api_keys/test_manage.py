"""Managing a tenant's keys: who may, how many, one rotation of a key, and that everybody is told (T2, L14, X2, X4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from lakefront.actor import KEYS_MANAGE, TENANTS_MANAGE
from lakefront.db.database import Database
from lakefront.domain import api_keys
from lakefront.domain.api_keys import CHANNEL, MOST_LIVE, ApiKeyState, NewKey
from lakefront.errors import Conflict, Forbidden, IdempotencyConflict, NotFound, ValidationError
from tests.actors import of_role
from tests.domain.api_keys.keepers import ACME, Keeping, admin

DAY = timedelta(days=1)


async def _create(keeping: Keeping, name: str = "CI", roles: tuple[str, ...] = ("reader",), **more: Any) -> NewKey:
    return await api_keys.create(keeping, admin(), name, roles, **more)


async def _states(keeping: Keeping) -> list[tuple[str, ApiKeyState]]:
    async with keeping.database.transaction(ACME) as transaction:
        [(now,)] = await transaction.fetch("SELECT now()")
    return [(key.name, key.state(now)) for key in await api_keys.keys(keeping, admin())]


async def test_a_key_lives_as_long_as_was_asked_for(keeping: Keeping) -> None:
    for ttl, expected in ((None, 90 * DAY), (DAY, DAY), (365 * DAY, 365 * DAY)):
        key = (await _create(keeping, ttl=ttl)).key
        assert key.expires_at - key.created_at == expected
    short = replace(keeping, settings=keeping.settings.model_copy(update={"api_key_ttl": 60}))
    key = (await _create(short)).key
    assert key.expires_at - key.created_at == timedelta(minutes=1)
    for wrong in (timedelta(0), -DAY, 365 * DAY + timedelta(seconds=1)):
        with pytest.raises(ValidationError):
            await _create(keeping, ttl=wrong)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("   ", id="blank"),
        pytest.param("a" * 101, id="long"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("a\nb", id="two lines"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("a\u202eb", id="right to left"),
    ],
)
async def test_a_name_is_printable(keeping: Keeping, name: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        await _create(keeping, name)
    assert wrong.value.details[0]["field"] == "name"
    assert (await _create(keeping, "Bäume & 木 " + "a" * 90)).key.name.startswith("Bäume")


async def test_nobody_makes_a_key_that_may_do_more_than_they(keeping: Keeping) -> None:
    mighty, _ = [await _create(keeping, roles=("admin",)) for _ in range(2)]
    keeper = replace(of_role("service", ACME), scopes=of_role("service", ACME).scopes | {KEYS_MANAGE})
    assert (await api_keys.create(keeping, keeper, "CI", ["reader", "service", "ingest"])).text
    for roles in (["admin"], ["reader", "monitor"], ["citizen"]):
        with pytest.raises(Forbidden):
            await api_keys.create(keeping, keeper, "CI", roles)
    with pytest.raises(Forbidden):
        await api_keys.rotate(keeping, keeper, mighty.key.key_id)
    assert await keeping.holds(mighty)
    revoked = await api_keys.revoke(keeping, keeper, mighty.key.key_id)
    assert revoked.revoked_at, "to take away is always right"


async def test_a_role_must_be_one_that_there_is(keeping: Keeping) -> None:
    for roles in ([], ["emperor"], ["reader", ""], ["reader"] * 3 + [f"{n}" for n in range(20)]):
        with pytest.raises(ValidationError) as wrong:
            await api_keys.create(keeping, admin(), "CI", roles)
        assert wrong.value.details[0]["field"] == "roles"


async def test_keys_are_managed_by_who_may_and_in_their_own_tenant(keeping: Keeping) -> None:
    made = await _create(keeping)
    reader, stranger = of_role("reader", ACME), admin("city")
    for work in (
        api_keys.keys(keeping, reader),
        api_keys.create(keeping, reader, "CI", ["reader"]),
        api_keys.rotate(keeping, reader, made.key.key_id),
        api_keys.revoke(keeping, reader, made.key.key_id),
    ):
        with pytest.raises(Forbidden):
            await work
    assert await api_keys.keys(keeping, stranger) == []
    for work in (
        api_keys.rotate(keeping, stranger, made.key.key_id),
        api_keys.revoke(keeping, stranger, made.key.key_id),
        api_keys.revoke(keeping, admin(), uuid4()),
    ):
        with pytest.raises(NotFound):
            await work
    assert await keeping.holds(made)


async def test_who_manages_tenants_acts_for_any_that_there_is(keeping: Keeping, provisioner: Database) -> None:
    async with provisioner.transaction(ACME) as transaction:
        await transaction.execute(
            "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
            "VALUES ($1, 'Acme', 'ann@acme.example', 'suspended')",
            ACME,
        )
    acting = await api_keys.acting_for(keeping.database, admin("city"), ACME)
    assert (acting.tenant, acting.subject) == (ACME, "city:lakefront")
    own = of_role("admin", ACME)
    assert await api_keys.acting_for(keeping.database, own, ACME) is own
    assert TENANTS_MANAGE not in own.scopes
    with pytest.raises(Forbidden):
        await api_keys.acting_for(keeping.database, own, "city")
    for nobody in ("nobody", "", "a\0b", "\ud800"):
        with pytest.raises(NotFound):
            await api_keys.acting_for(keeping.database, admin("city"), nobody)


async def test_a_rotated_key_holds_for_the_overlap_and_not_longer_than_its_own_time(keeping: Keeping) -> None:
    first = await _create(keeping, ttl=10 * DAY)
    second = await api_keys.rotate(keeping, admin(), first.key.key_id, 20 * DAY)
    assert second.key.expires_at - second.key.created_at == 10 * DAY
    _, old = await api_keys.keys(keeping, admin())
    assert (old.replaced_by, old.expires_at) == (second.key.key_id, first.key.expires_at)
    third = await api_keys.rotate(keeping, admin(), second.key.key_id, DAY)
    _, old, oldest = await api_keys.keys(keeping, admin())
    assert old.expires_at == third.key.created_at + DAY
    assert (oldest.expires_at, oldest.replaced_by) == (first.key.expires_at, second.key.key_id), "as it was promised"
    fourth = await api_keys.regenerate(keeping, admin(), third.key.key_id)
    assert [await keeping.holds(key) for key in (first, second, third, fourth)] == [True, True, False, True]
    await api_keys.revoke(keeping, admin(), first.key.key_id)
    assert [await keeping.holds(key) for key in (first, second, third, fourth)] == [False, True, False, True]
    for wrong in (timedelta(seconds=-1), 30 * DAY + timedelta(seconds=1)):
        with pytest.raises(ValidationError):
            await api_keys.rotate(keeping, admin(), fourth.key.key_id, wrong)


async def test_the_last_key_that_manages_keys_is_revoked_by_force_alone(keeping: Keeping) -> None:
    first = await _create(keeping, roles=("admin",))
    reader = await _create(keeping)
    for dry_run in (True, False):
        with pytest.raises(Conflict, match="last API key"):
            await api_keys.revoke(keeping, admin(), first.key.key_id, dry_run=dry_run)
    assert (await api_keys.revoke(keeping, admin(), reader.key.key_id)).revoked_at
    await _create(keeping, roles=("admin",), ttl=timedelta(microseconds=1))
    await api_keys.create(keeping, admin("city"), "of another tenant", ["admin"])
    second = await api_keys.rotate(keeping, admin(), first.key.key_id, DAY)
    with pytest.raises(Conflict, match="last API key"):
        await api_keys.revoke(keeping, admin(), second.key.key_id)
    assert [await keeping.holds(key) for key in (first, second)] == [True, True]
    assert (await api_keys.revoke(keeping, admin(), first.key.key_id)).revoked_at, "there is the one that replaced it"
    assert (await api_keys.revoke(keeping, admin(), second.key.key_id, force=True)).revoked_at
    assert (await api_keys.revoke(keeping, admin(), second.key.key_id)).revoked_at, "it was revoked before"


async def test_of_the_last_two_keys_that_manage_keys_one_stays(keeping: Keeping) -> None:
    made = [await _create(keeping, roles=("admin",)) for _ in range(2)]
    done = await asyncio.gather(
        *(api_keys.revoke(keeping, admin(), one.key.key_id) for one in made), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in done) == 1
    assert sum([await keeping.holds(one) for one in made]) == 1


async def test_of_two_rotations_at_once_one_wins(keeping: Keeping) -> None:
    made = await _create(keeping)
    done = await asyncio.gather(
        *(api_keys.rotate(keeping, admin(), made.key.key_id) for _ in range(8)), return_exceptions=True
    )
    [won] = [one for one in done if isinstance(one, NewKey)]
    assert sum(isinstance(one, Conflict) for one in done) == 7
    assert await _states(keeping) == [("CI", ApiKeyState.ACTIVE), ("CI", ApiKeyState.ROTATED)]
    assert await keeping.holds(won)


async def test_a_revocation_beats_a_rotation_of_the_same_time(keeping: Keeping) -> None:
    for _ in range(10):
        made = await _create(keeping)
        rotated, revoked = await asyncio.gather(
            api_keys.rotate(keeping, admin(), made.key.key_id),
            api_keys.revoke(keeping, admin(), made.key.key_id),
            return_exceptions=True,
        )
        assert not isinstance(revoked, BaseException)
        assert isinstance(rotated, NewKey | Conflict)
        assert not await keeping.holds(made)


async def test_what_does_not_hold_is_not_rotated_and_stays_revoked(keeping: Keeping) -> None:
    made = await _create(keeping)
    revoked = await api_keys.revoke(keeping, admin(), made.key.key_id)
    assert await api_keys.revoke(keeping, admin(), made.key.key_id) == revoked
    with pytest.raises(Conflict, match="revoked"):
        await api_keys.rotate(keeping, admin(), made.key.key_id)
    ended = await _create(keeping, ttl=timedelta(microseconds=1))
    with pytest.raises(Conflict, match="expired"):
        await api_keys.rotate(keeping, admin(), ended.key.key_id)


async def test_a_tenant_has_so_many_keys_and_no_more(keeping: Keeping) -> None:
    await _create(keeping, "ended", ttl=timedelta(microseconds=1))
    made = [await _create(keeping, f"{number}") for number in range(MOST_LIVE - 1)]
    done = await asyncio.gather(*(_create(keeping, "last") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, NewKey) for one in done) == 1
    assert sum(isinstance(one, Conflict) for one in done) == 3
    with pytest.raises(Conflict, match="without an overlap"):
        await api_keys.rotate(keeping, admin(), made[0].key.key_id)
    assert await keeping.holds(made[0])
    rotated = await api_keys.regenerate(keeping, admin(), made[0].key.key_id)
    assert await keeping.holds(rotated), "one in the place of another is never one too many"
    with pytest.raises(Conflict, match="Revoke one"):
        await _create(keeping, "another")
    await api_keys.create(keeping, admin("city"), "of another tenant", ["reader"])
    await api_keys.revoke(keeping, admin(), made[1].key.key_id)
    await _create(keeping, "another")


async def test_rotating_over_and_over_makes_no_more_keys_than_a_tenant_may_have(keeping: Keeping) -> None:
    key = await _create(keeping)
    for _ in range(MOST_LIVE - 1):
        key = await api_keys.rotate(keeping, admin(), key.key.key_id, 30 * DAY)
    with pytest.raises(Conflict, match="overlap"):
        await api_keys.rotate(keeping, admin(), key.key.key_id, timedelta(seconds=1))
    states = [state for _, state in await _states(keeping)]
    assert states == [ApiKeyState.ACTIVE] + [ApiKeyState.ROTATED] * (MOST_LIVE - 1)


async def test_a_key_is_made_within_the_provisioners_transaction_or_not_at_all(
    keeping: Keeping, provisioner: Database
) -> None:
    async with provisioner.transaction(ACME) as transaction:
        made = await api_keys.issue(transaction, ACME, "first", ["admin"], "onboarding", 90 * DAY)
    assert await keeping.holds(made)
    with suppress(ZeroDivisionError):
        async with provisioner.transaction("new") as transaction:
            lost = await api_keys.issue(transaction, "new", "first", ["admin"], "onboarding", 90 * DAY)
            raise ZeroDivisionError
    assert not await keeping.holds(lost)


@pytest.fixture
async def notices(dsn: str) -> AsyncIterator[list[str]]:
    """What was told of tokens, as every server hears it."""
    heard: list[str] = []
    connection = await asyncpg.connect(dsn)
    await connection.add_listener(CHANNEL, lambda *notice: heard.append(str(notice[-1])))
    yield heard
    await connection.close()


async def _told(notices: list[str]) -> int:
    await asyncio.sleep(0.2)
    count = len(notices)
    notices.clear()
    return count


async def test_every_change_is_told_and_what_is_no_change_is_not(keeping: Keeping, notices: list[str]) -> None:
    made = await _create(keeping)
    assert await _told(notices) == 0, "no server remembers a key that was not there"
    rotated = await api_keys.rotate(keeping, admin(), made.key.key_id)
    assert await _told(notices) == 1
    await api_keys.revoke(keeping, admin(), rotated.key.key_id)
    assert await _told(notices) == 1
    await _create(keeping, dry_run=True)
    await api_keys.revoke(keeping, admin(), made.key.key_id, dry_run=True)
    with pytest.raises(Conflict):
        await api_keys.rotate(keeping, admin(), made.key.key_id)
    assert await _told(notices) == 0
    assert await keeping.holds(made)


async def test_an_idempotency_key_is_of_one_request(keeping: Keeping) -> None:
    first = await _create(keeping, idempotency_key="k")
    done = await asyncio.gather(*(_create(keeping, idempotency_key="k") for _ in range(4)))
    assert [(one.key, one.text) for one in done] == [(first.key, "")] * 4
    for changed in ({"name": "other"}, {"roles": ("service",)}, {"ttl": DAY}):
        with pytest.raises(IdempotencyConflict):
            await _create(keeping, idempotency_key="k", **changed)
    await api_keys.revoke(keeping, admin(), first.key.key_id, idempotency_key="k")
    revoked = await api_keys.revoke(keeping, admin(), first.key.key_id, idempotency_key="k")
    assert revoked.revoked_at
    assert len(await api_keys.keys(keeping, admin())) == 1


async def test_a_request_that_failed_leaves_its_idempotency_key_free(keeping: Keeping) -> None:
    made = [await _create(keeping, f"{number}") for number in range(MOST_LIVE)]
    with pytest.raises(Conflict):
        await _create(keeping, idempotency_key="k")
    await api_keys.revoke(keeping, admin(), made[0].key.key_id)
    assert (await _create(keeping, idempotency_key="k")).text


async def test_rotations_at_once_while_a_rule_has_changed(keeping: Keeping) -> None:
    """Each reads the rules by a connection beside its own: they must not wait for each other's."""
    number = keeping.database.pool_size + 2
    made = [(await _create(keeping, f"k{index}")).key for index in range(number)]
    keeping.rights.changed()
    async with asyncio.timeout(5):
        rotated = await asyncio.gather(*(api_keys.rotate(keeping, admin(), key.key_id, DAY) for key in made))
    assert all(key.text for key in rotated)
