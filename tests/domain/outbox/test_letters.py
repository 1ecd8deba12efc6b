"""Dead letters: who may decide on them, what that does to the job, and their export (C12)."""

import json
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from lakefront.actor import Actor, system_actor
from lakefront.domain import outbox
from lakefront.domain.outbox import DeadLetter, LetterState
from lakefront.domain.services import Services
from lakefront.errors import Conflict, Forbidden, IdempotencyConflict, NotFound, UpstreamRejected, UpstreamUncertain
from tests.domain.outbox.outside import Outside, Step, job, put, until_state, working


async def dead(desk: Services, outside: Outside, key: str = "a", *, tenant: str = "city") -> DeadLetter:
    """A letter of a job that was refused."""
    outside.steps[key] = [Step(before=UpstreamRejected("Correct it, then send it again."))]
    async with working(desk, None, outside):
        await until_state(desk.database, await put(desk.database, key, tenant=tenant), "DEAD", tenant=tenant)
    return (await outbox.waiting(desk, system_actor(tenant)))[-1]


async def uncertain(desk: Services) -> DeadLetter:
    outside = Outside(finds=False)
    outside.steps["a"] = [Step(after=UpstreamUncertain())]
    async with working(desk, None, outside):
        await until_state(desk.database, await put(desk.database, "a"), "UNCERTAIN")
    [letter] = await outbox.waiting(desk, system_actor())
    return letter


async def test_a_replayed_letter_is_tried_again(desk: Services, outside: Outside, actor: Actor) -> None:
    letter = await dead(desk, outside)
    told = await outbox.replay(desk, replace(actor, on_behalf_of="ada"), str(letter.letter_id))
    assert (told.state, told.decided_by, told.on_behalf_of) == (LetterState.REPLAYED, "lakefront", "ada")
    async with working(desk, None, outside):
        await until_state(desk.database, letter.job_id, "DONE")
    assert outside.looked_up == {}
    assert await outbox.waiting(desk, actor) == []


async def test_what_is_decided_is_decided(desk: Services, outside: Outside, actor: Actor) -> None:
    letter_id = str((await dead(desk, outside)).letter_id)
    await outbox.discard(desk, actor, letter_id)
    for again in (outbox.discard, outbox.replay):
        with pytest.raises(Conflict, match="discarded already"):
            await again(desk, actor, letter_id)


async def test_the_same_key_decides_once(desk: Services, outside: Outside, actor: Actor) -> None:
    one, other = await dead(desk, outside, "a"), await dead(desk, outside, "b")
    first = await outbox.replay(desk, actor, str(one.letter_id), idempotency_key="k")
    assert await outbox.replay(desk, actor, str(one.letter_id), idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        await outbox.replay(desk, actor, str(other.letter_id), idempotency_key="k")


async def test_a_dry_run_changes_nothing(desk: Services, outside: Outside, actor: Actor) -> None:
    letter = await dead(desk, outside)
    for decide, state in ((outbox.replay, LetterState.REPLAYED), (outbox.discard, LetterState.DISCARDED)):
        assert (await decide(desk, actor, str(letter.letter_id), dry_run=True)).state is state
    assert await outbox.waiting(desk, actor) == [letter]
    assert (await job(desk.database, letter.job_id))["state"] == "DEAD"


async def test_the_uncertain_is_looked_up_again_unless_somebody_knows(desk: Services, actor: Actor) -> None:
    letter = await uncertain(desk)
    outside = Outside(finds=True)
    outside.done["a"] = 1
    await outbox.replay(desk, actor, str(letter.letter_id))
    async with working(desk, None, outside):
        await until_state(desk.database, letter.job_id, "DONE")
    assert (outside.looked_up, outside.tried) == ({"a": 1}, {})


async def test_what_was_not_carried_out_is_simply_done(desk: Services, outside: Outside, actor: Actor) -> None:
    letter = await uncertain(desk)
    await outbox.replay(desk, actor, str(letter.letter_id), not_carried_out=True)
    async with working(desk, None, outside):
        await until_state(desk.database, letter.job_id, "DONE")
    assert (outside.looked_up, outside.tried) == ({}, {"a": 1})


async def test_who_waited_for_a_discarded_job_goes_on(desk: Services, outside: Outside, actor: Actor) -> None:
    letter = await uncertain(desk)
    behind = await put(desk.database, "a", payload={"number": 2})
    await outbox.discard(desk, actor, str(letter.letter_id))
    async with working(desk, None, outside):
        await until_state(desk.database, behind, "DONE")
    assert outside.order == ["a:2"]
    assert (await job(desk.database, letter.job_id))["state"] == "DEAD"


async def test_they_are_of_a_tenant_and_of_those_who_may(desk: Services, outside: Outside, actor: Actor) -> None:
    letter_id = str((await dead(desk, outside)).letter_id)
    stranger = system_actor("other")
    assert await outbox.waiting(desk, stranger) == []
    for unknown, who in ((letter_id, stranger), ("no id", actor)):
        with pytest.raises(NotFound):
            await outbox.discard(desk, who, unknown)
    staff = replace(actor, scopes=frozenset())
    with pytest.raises(Forbidden):
        await outbox.waiting(desk, staff)
    with pytest.raises(Forbidden):
        await outbox.replay(desk, staff, letter_id)
    with pytest.raises(Forbidden):
        await outbox.export(desk, staff)


async def test_they_are_exported_and_wait_on(desk: Services, outside: Outside, actor: Actor) -> None:
    one, other = await dead(desk, outside, "a"), await dead(desk, outside, "b", tenant="other")
    planned = await outbox.export(desk, actor, dry_run=True)
    assert await desk.objects.head(planned.keys[0]) is None
    exported = await outbox.export(desk, actor)
    assert exported == planned == await outbox.export(desk, actor, provider="probe")
    assert (await outbox.export(desk, actor, provider="another")).keys == ()
    lines = b"".join([part async for part in desk.objects.read(exported.keys[0])]).splitlines()
    assert [json.loads(line)["letter_id"] for line in lines] == [str(one.letter_id)]
    of_other = await outbox.export(desk, system_actor("other"))
    assert of_other.keys[0].startswith("other/dead-letters/year=")
    assert await outbox.waiting(desk, system_actor("other")) == [other]


async def test_what_waits_is_measured(desk: Services, redis: Redis, outside: Outside) -> None:
    await dead(desk, outside)
    await put(desk.database, "b", tenant="other", provider="nyc_311")
    found = await outbox.measure(desk.provisioner)
    assert [(each.provider, each.waiting) for each in found.jobs] == [("nyc_311", 1)]
    assert [(each.provider, each.uncertain, each.waiting) for each in found.letters] == [("probe", False, 1)]
    assert 0 <= found.jobs[0].oldest < 60
