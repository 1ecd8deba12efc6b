"""What the document and the door agree on about a subscription."""

from contextlib import aclosing

from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.following import Following
from lakefront.graphql.operations import Operations
from tests.graphql.sample import READER, build


async def take(operations: Operations, text: str, following: Following | None, number: int) -> list[Answer]:
    operation = operations.prepare(OperationRequest(text), READER, "t", following=following)
    assert not isinstance(operation, Answer), operation.errors
    async with aclosing(operations.follow(operation)) as answers:
        return [(await anext(answers)).parse() for _ in range(number)]


async def test_the_cursor_is_told_whatever_is_selected() -> None:
    operations, _, _ = build()
    first, second = await take(operations, "subscription { other: numbers { cursor: event } }", None, 2)
    assert [first.cursor, second.cursor] == ["1", "2"]
    assert first.data == {"other": {"cursor": 1}}


async def test_a_door_that_asks_for_nothing_gets_no_heartbeat_of_its_own() -> None:
    operations, _, _ = build()
    asked = "subscription { numbers(to: 0, heartbeat: 0.01) { event } }"
    (answer,) = await take(operations, asked, None, 1)
    assert (answer.heartbeat, answer.data) == (False, {"numbers": {"event": None}})


async def test_a_doors_heartbeats_are_not_executed() -> None:
    operations, world, _ = build()
    following = Following(resume_after="7", heartbeat=0.01)
    answers = await take(operations, 'subscription { numbers(after: "1") { event } }', following, 3)
    assert [answer.cursor for answer in answers] == ["7", "3", "3"]
    assert all(answer.heartbeat and answer.data is None for answer in answers)
    assert world.contexts == 1


async def test_a_field_without_cursors_has_none() -> None:
    operations, _, _ = build()
    answers = await take(operations, "subscription { count }", Following(resume_after="1", heartbeat=0.01), 3)
    assert [(answer.cursor, answer.heartbeat) for answer in answers] == [(None, False)] * 3
