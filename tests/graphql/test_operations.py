"""Operations run once, within their limits, and whatever happens comes as an answer."""

import asyncio
import gc
import json
import logging
from contextlib import aclosing
from typing import Any

import pytest
from graphql.execution.collect_fields import FieldDetails

from lakefront.graphql import turns
from lakefront.graphql.answers import Answer, OperationRequest, encode
from lakefront.graphql.operations import Operations
from lakefront.graphql.subscriptions import FAIR_SHARE
from tests.graphql.sample import NOBODY, READER, WRITER, build


def ask(text: str, name: str | None = None, **variables: Any) -> OperationRequest:
    return OperationRequest(text, name, variables)


def code(answer: Answer) -> str:
    """The code of the answer's only error."""
    assert answer.errors is not None
    (error,) = answer.errors
    return str(error["extensions"]["code"])


async def followed(operations: Operations, text: str) -> list[Answer]:
    return [answer async for answer in operations.subscribe(ask(text), READER, "t")]


async def test_a_query_and_its_variables() -> None:
    operations, world, _ = build()
    answer = await operations.execute(ask("query($p: Point) { hello(point: $p) }", p={"x": 7}), READER, "t")
    assert answer.payload() == {"data": {"hello": "hello world at 7"}}
    assert json.loads(answer.encode()) == answer.payload()
    assert world.contexts == 1


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ask("{"), "BAD_REQUEST"),
        (ask(""), "BAD_REQUEST"),
        (ask("{ nothing }"), "VALIDATION_ERROR"),
        (ask("query a { hello } query b { hello }"), "BAD_REQUEST"),
        (ask("{ hello }", "other"), "BAD_REQUEST"),
        (ask("query($p: Point!) { hello(point: $p) }"), "VALIDATION_ERROR"),
        (ask("query($p: Point!) { hello(point: $p) }", p={"x": "a"}), "VALIDATION_ERROR"),
        (ask("query($p: Point!) { hello(point: $p) }", p={"x": 1, "z": 1}), "VALIDATION_ERROR"),
        (ask("{ hello @defer }"), "VALIDATION_ERROR"),
        (ask("subscription { count }"), "BAD_REQUEST"),
        (ask("subscription { }"), "VALIDATION_ERROR"),
        (ask("mutation { increment }"), "FORBIDDEN"),
        (ask("{ undeclared }"), "FORBIDDEN"),
        (ask("{ a: hello " * 500), "BAD_REQUEST"),
    ],
)
async def test_what_cannot_run_is_not_executed(
    request_: OperationRequest, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    operations, _, _ = build()
    answer = await operations.execute(request_, READER, "t")
    assert not answer.executed
    assert code(answer) == expected
    assert "data" not in answer.payload()
    assert caplog.records == []


async def test_wrong_variables_are_counted_and_not_explained_at_length() -> None:
    operations, _, _ = build()
    points = [{"x": "secret" * 100, f"y{number}": 1} for number in range(200)]
    request = ask("query($p: Point) { hello(point: $p) }", p=points[0] | points[1] | {str(n): n for n in range(900)})
    answer = await operations.execute(request, READER, "t")
    assert answer.errors is not None
    assert len(answer.errors) <= 6
    assert len(answer.encode()) < 10_000


async def test_default_values_and_nulls_are_the_clients_business() -> None:
    operations, _, _ = build()
    answer = await operations.execute(ask("query($n: String) { hello(name: $n) }", n=None), READER, "t")
    assert code(answer) == "VALIDATION_ERROR"


async def test_errors_of_fields_keep_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    operations, _, _ = build()
    answer = await operations.execute(ask('{ hello fail a: fail(how: "shown") }'), READER, "trace")
    assert answer.executed
    assert answer.data == {"hello": "hello world", "fail": None, "a": None}
    assert answer.errors is not None
    assert {error["extensions"]["code"] for error in answer.errors} == {"INTERNAL_ERROR", "NOT_FOUND"}
    assert "hunter2" not in answer.encode().decode()
    (record,) = caplog.records
    assert "hello" not in record.getMessage().replace("lakefront", "")


async def test_a_thousand_failures_are_one_log_record(caplog: pytest.LogCaptureFixture) -> None:
    operations, _, _ = build()
    answer = await operations.execute(ask("{ many(first: 1000) { broken } }"), READER, "t")
    assert answer.data is None
    assert len(caplog.records) == 1


async def test_a_cancellation_inside_a_resolver_is_not_ours(caplog: pytest.LogCaptureFixture) -> None:
    operations, _, _ = build()
    answer = await operations.execute(ask('{ fail(how: "cancelled") }'), READER, "t")
    assert code(answer) == "INTERNAL_ERROR"
    assert len(caplog.records) == 1


async def test_mutations_run_once_and_only_where_they_may() -> None:
    operations, world, _ = build()
    refused = await operations.execute(ask("mutation { increment }"), WRITER, "t", allow_mutations=False)
    assert code(refused) == "METHOD_NOT_ALLOWED"
    assert world.increments == 0
    answer = await operations.execute(ask("mutation { increment b: increment(by: 2) }"), WRITER, "t")
    assert answer.data == {"increment": 1, "b": 3}


async def test_time_is_limited_and_everything_stops_with_it() -> None:
    operations, world, _ = build(graphql_timeout=0.1)
    tasks = len(asyncio.all_tasks())
    text = "{ a: sleep(seconds: 60) b: sleep(seconds: 60) hello }"
    answer = await operations.execute(ask(text), READER, "t")
    assert code(answer) == "OPERATION_TIMEOUT"
    assert world.sleeping == 0
    assert len(asyncio.all_tasks()) == tasks


@pytest.mark.parametrize(("seconds", "limit"), [(0.1, 30.0), (60, 0.3)], ids=["it ends", "its time is up"])
async def test_a_failed_sibling_leaves_nothing_running(seconds: float, limit: float) -> None:
    operations, world, _ = build(graphql_timeout=limit)
    tasks = len(asyncio.all_tasks())
    await operations.execute(ask(f"{{ sleep(seconds: {seconds}) many {{ broken }} }}"), READER, "t")
    assert world.sleeping == 0
    assert len(asyncio.all_tasks()) == tasks


async def test_cancelling_the_caller_cancels_the_operation() -> None:
    operations, world, _ = build()
    task = asyncio.create_task(operations.execute(ask("{ sleep(seconds: 60) }"), READER, "t"))
    while not world.sleeping:  # noqa: ASYNC110 - the resolver sets no event
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.sleeping == 0


async def test_only_so_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUEUE_TIMEOUT", 0.1)
    operations, world, _ = build(graphql_concurrency=2)
    long = [asyncio.create_task(operations.execute(ask("{ sleep(seconds: 60) }"), READER, "t")) for _ in range(2)]
    while world.sleeping < 2:  # noqa: ASYNC110 - the resolver sets no event
        await asyncio.sleep(0)
    answers = await asyncio.gather(*[operations.execute(ask("{ hello }"), READER, "t") for _ in range(30)])
    assert {code(answer) for answer in answers} == {"UNAVAILABLE"}
    assert all(answer.refusal and answer.refusal.retry_after for answer in answers)
    long[0].cancel()
    await asyncio.wait([long[0]])
    assert (await operations.execute(ask("{ hello }"), READER, "t")).executed
    long[1].cancel()
    await asyncio.wait([long[1]])


async def test_a_subscription_gives_answers_until_its_end() -> None:
    operations, world, _ = build()
    answers = await followed(operations, "subscription { count(to: 3) }")
    assert [answer.data for answer in answers] == [{"count": "0"}, {"count": "1"}, {"count": "2"}]
    assert (world.following, world.contexts) == (0, 1)
    await followed(operations, "subscription { contexts { child { name } } }")
    assert (world.following, world.contexts) == (0, 1 + 1 + 3), "resolvers have a context of their own for each event"


async def test_a_subscription_says_what_ended_it(caplog: pytest.LogCaptureFixture) -> None:
    operations, _, _ = build()
    first, last = await followed(operations, 'subscription { failing(how: "lagged") }')
    assert first.data == {"failing": 1}
    assert not last.executed
    assert code(last) == "LAGGED"
    assert last.errors is not None
    assert last.errors[0]["extensions"]["cursor"] == "the-cursor"
    assert caplog.records == []
    _, last = await followed(operations, "subscription { failing }")
    assert code(last) == "INTERNAL_ERROR"
    assert len(caplog.records) == 1


async def test_what_is_no_subscription_gives_one_answer() -> None:
    operations, _, _ = build()
    (answer,) = await followed(operations, "{ hello }")
    assert answer.data == {"hello": "hello world"}
    for text in ("{", "{ nothing }", "subscription { count failing }", "subscription { __typename }", "{ undeclared }"):
        (answer,) = await followed(operations, text)
        assert not answer.executed
    (answer,) = [a async for a in operations.subscribe(ask("subscription { count }"), NOBODY, "t")]
    assert code(answer) == "FORBIDDEN"


async def test_errors_of_an_event_do_not_end_a_subscription() -> None:
    operations, _, _ = build()
    answers = await followed(operations, "subscription { contexts { name broken } }")
    assert len(answers) == 3
    assert all(answer.executed and answer.errors for answer in answers)


async def test_a_subscription_keeps_nothing_of_the_events_it_delivered() -> None:
    operations, _, _ = build()
    kept: list[int] = []
    async with aclosing(
        operations.subscribe(ask("subscription { contexts(to: 60) { child { name } } }"), READER, "t")
    ) as answers:
        number = 0
        async for _ in answers:
            number += 1
            if number in (10, 60):
                gc.collect()
                kept.append(sum(isinstance(each, FieldDetails) for each in gc.get_objects()))
    early, late = kept
    assert late <= early


async def test_closing_closes_the_source() -> None:
    operations, world, _ = build()
    async with aclosing(operations.subscribe(ask("subscription { count(to: 1000) }"), READER, "t")) as answers:
        async for answer in answers:
            assert world.following == 1
            if answer.data == {"count": "5"}:
                break
    assert world.following == 0


async def test_a_long_history_leaves_turns_for_others() -> None:
    operations, _, _ = build()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await followed(operations, "subscription { count(to: 1000) }")
    task.cancel()
    assert turns >= 1000 / FAIR_SHARE - 1


def test_numbers_past_64_bits_are_told_exactly() -> None:
    assert encode({"a": 10**30, "b": "é"}) in (b'{"a":1' + b"0" * 30 + b',"b":"\\u00e9"}',)


async def test_quiet_about_clients(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    operations, _, _ = build()
    for text in ("{", "{ nothing }", "{ hello(name: 1) }", "mutation { increment }", "{a}" * 2000):
        await operations.execute(ask(text), READER, "t")
    assert [record for record in caplog.records if record.name.startswith("lakefront")] == []
