"""The life of a call against a real server: what is tried again and what never is, what callers are told (C1, C3)."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.calls.breaker import State
from lakefront.errors import (
    LakefrontError,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
    ValidationError,
)
from tests.adapters.outside import Answer, Fault, Got, Outside, told
from tests.adapters.probe import QUICK, SECRET, limited, probe

OK = told({"value": 7})
BUSY = Answer(503)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(lambda _: OK) as server:
        yield server


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


async def test_an_answer_becomes_what_read_makes_of_it(outside: Outside, calls: Calls) -> None:
    assert await probe(f"{outside.url}/base", calls).ask(path="/a", query=[("q", "a b&c"), ("q", "é")]) == 7
    (got,) = outside.got
    assert got.target == "/base/a?q=a%20b%26c&q=%C3%A9"
    assert got.headers["user-agent"].startswith("lakefront/")
    assert got.headers["accept-encoding"] == "gzip"
    assert "cookie" not in got.headers


async def test_bodies(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls)
    await adapter.file(json=[{"a": "é"}])
    await adapter.file(json=None, form=[("attribute[x]", "1 & 2"), ("é", "")])
    await adapter.file(json=None, content=b"<x/>", headers={"Content-Type": "text/xml"})
    sent = [(got.body, got.headers["content-type"]) for got in outside.got]
    assert sent == [
        ('[{"a":"é"}]'.encode(), "application/json"),
        (b"attribute%5Bx%5D=1%20%26%202&%C3%A9=", "application/x-www-form-urlencoded"),
        (b"<x/>", "text/xml"),
    ]


@pytest.mark.parametrize(
    "failing", [BUSY, Answer(500), Fault.RESET, Fault.CLOSE, Fault.NOISE, Fault.SILENCE, Answer(body=b"{"), Answer(408)]
)
async def test_what_may_pass_is_tried_again(outside: Outside, calls: Calls, failing: Answer | Fault) -> None:
    outside.then.extend([failing, failing])
    assert await probe(outside.url, calls).ask() == 7
    assert len(outside.got) == 3


@pytest.mark.parametrize(
    ("failing", "error", "tries"),
    [
        (BUSY, UpstreamError, 5),
        (Fault.RESET, UpstreamError, 5),
        (Answer(kind="text/html", body=b"<html>"), UpstreamError, 5),
        (told({"value": "x"}), UpstreamError, 5),
        (Answer(body=b"[" * 5000), UpstreamError, 5),
        (Answer(body=b" " * 3_000_000), UpstreamError, 5),
        (Answer(body=b"1" * 10, length=1 << 40), UpstreamError, 5),
        (Answer(headers={"content-encoding": "br"}), UpstreamError, 5),
        (Answer(301, headers={"location": "/elsewhere"}), UpstreamError, 1),
        (Answer(400), UpstreamRejected, 1),
        (Answer(404), UpstreamRejected, 1),
        (Answer(401), UpstreamDenied, 1),
        (Answer(403), UpstreamDenied, 1),
        (Answer(429), RateLimited, 5),
        (Answer(429, headers={"retry-after": "60"}), RateLimited, 1),
    ],
)
async def test_what_callers_are_told_in_the_end(
    outside: Outside, calls: Calls, failing: Answer | Fault, error: type[LakefrontError], tries: int
) -> None:
    outside.rule = lambda _: failing
    with pytest.raises(error) as raised:
        await probe(outside.url, calls).ask()
    assert type(raised.value) is error
    assert len(outside.got) == tries
    assert "The probe" in raised.value.message
    assert raised.value.details[0]["provider"] == "probe"
    assert SECRET not in f"{raised.value.message} {raised.value.details} {raised.value.__context__}"


@pytest.mark.parametrize(
    "failing",
    [BUSY, Answer(500), Fault.RESET, Fault.CLOSE, Fault.NOISE, Fault.SILENCE, Answer(body=b"{"), told({}, 201)],
)
async def test_what_may_have_been_done_is_never_done_again(
    outside: Outside, calls: Calls, failing: Answer | Fault
) -> None:
    outside.then.append(failing)
    with pytest.raises(UpstreamUncertain, match="look there before"):
        await probe(outside.url, calls).file()
    assert len(outside.got) == 1


async def test_what_was_surely_not_done_is_tried_again(outside: Outside, calls: Calls) -> None:
    outside.then.extend([Answer(429), Answer(408), BUSY])
    assert await probe(outside.url, calls).file(undone=frozenset({429, 503})) == 7
    assert len(outside.got) == 4


async def test_a_refused_change_is_certain(outside: Outside, calls: Calls) -> None:
    outside.then.append(Answer(422))
    with pytest.raises(UpstreamRejected):
        await probe(outside.url, calls).file()


async def test_nothing_listens(calls: Calls) -> None:
    for call in (probe("http://127.0.0.1:9", calls).ask, probe("http://127.0.0.1:9", calls).file):
        with pytest.raises(UpstreamError, match="cannot be reached") as raised:
            await call()
        assert type(raised.value) is UpstreamError


async def test_a_slow_body_ends_in_time(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda _: Answer(body=b" " * 1000, pace=0.01)
    started = time.monotonic()
    with pytest.raises(UpstreamError, match="in time"):
        await probe(outside.url, calls).ask()
    assert time.monotonic() - started < QUICK.total_timeout + 1


async def test_retry_after_is_waited_for(outside: Outside, calls: Calls) -> None:
    outside.then.append(Answer(503, headers={"retry-after": "1"}))
    started = time.monotonic()
    assert await probe(outside.url, calls).ask() == 7
    assert time.monotonic() - started >= 1


async def test_who_asks_us_to_wait_is_left_alone_by_all(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls)
    outside.then.append(Answer(429, headers={"retry-after": "30"}))
    for _ in range(5):
        with pytest.raises(RateLimited) as raised:
            await adapter.ask()
        assert 29 < (raised.value.retry_after or 0) <= 30
    assert len(outside.got) == 1
    assert await adapter.ask(lane="second") == 7


async def test_another_key_is_tried_at_once(outside: Outside, calls: Calls) -> None:
    outside.then.append(Answer(429))
    with pytest.raises(RateLimited):
        await probe(outside.url, calls).ask(waits=False)
    assert len(outside.got) == 1


async def test_expected_statuses_are_answers(outside: Outside, calls: Calls) -> None:
    outside.then.append(told({"value": 4}, 404))
    assert await probe(outside.url, calls).ask(expected=frozenset({404})) == 4


async def test_what_read_finds_is_no_failure_of_theirs(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls)

    def read(_: Any) -> int:
        raise NotFound("There is no such ticket.")

    for _ in range(30):
        with pytest.raises(NotFound):
            await calls.call(adapter, adapter._request("GET", {}), read, idempotent=True, trace_id="c" * 32)
    assert not list(calls.breakers())


async def test_the_breaker_opens_and_closes_again(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls)
    outside.rule = lambda _: Answer(500)
    for _ in range(2):  # of five requests each
        with pytest.raises(UpstreamError):
            await adapter.ask()
    assert len(outside.got) == 10
    (state,) = calls.breakers()
    assert (state.key.provider, state.state) == ("probe", State.OPEN)
    with pytest.raises(Unavailable, match="left alone") as raised:
        await adapter.ask()
    assert 0 < (raised.value.retry_after or 0) <= QUICK.open_pause
    assert len(outside.got) == 10
    outside.rule = lambda _: OK
    # Another tenant's, and another city's, were never open.
    assert await probe(outside.url, calls, tenant="other").ask() == 7
    assert await probe(outside.url, calls, city="bos").ask() == 7
    await asyncio.sleep(QUICK.open_pause)
    assert [await adapter.ask() for _ in range(3)] == [7, 7, 7]
    assert not list(calls.breakers())


async def test_a_changed_row_begins_anew(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda _: Answer(500)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await probe(outside.url, calls).ask()
    outside.rule = lambda _: OK
    assert await probe(outside.url, calls, version=2).ask() == 7


async def test_refusals_do_not_open_the_breaker(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda _: Answer(400)
    for _ in range(40):
        with pytest.raises(UpstreamRejected):
            await probe(outside.url, calls).ask()


async def test_retries_are_a_part_of_the_calls(outside: Outside) -> None:
    calls = Calls(policy=replace(QUICK, window=10_000), loopback=True)
    outside.rule = lambda _: Answer(500)
    for _ in range(100):
        with pytest.raises(UpstreamError):
            await probe(outside.url, calls).ask()
    assert len(outside.got) < 100 + 10 + 20 + 10
    await calls.close()


async def test_the_bulkhead_holds(outside: Outside) -> None:
    calls = Calls(policy=replace(QUICK, at_once=4), loopback=True)
    outside.rule = lambda _: replace(OK, wait=0.01)
    adapter = probe(outside.url, calls)
    assert await asyncio.gather(*(adapter.ask() for _ in range(40))) == [7] * 40
    assert outside.most_under_way == 4
    await calls.close()


async def test_a_full_bulkhead_turns_away(outside: Outside) -> None:
    calls = Calls(policy=replace(QUICK, at_once=1, bulkhead_patience=0.02), loopback=True)
    outside.rule = lambda _: replace(OK, wait=0.2)
    adapter = probe(outside.url, calls)
    answers = await asyncio.gather(adapter.ask(), adapter.ask(), return_exceptions=True)
    assert answers[0] == 7
    assert isinstance(answers[1], Unavailable)
    await calls.close()


async def test_who_leaves_before_its_turn_takes_nothing_of_the_day(outside: Outside) -> None:
    calls = Calls(policy=replace(QUICK, at_once=1), loopback=True)
    busy = asyncio.Event()

    def slow(_: Got) -> Answer:
        busy.set()
        return replace(OK, wait=0.2)

    outside.rule = slow
    adapter = probe(outside.url, calls, quota_daily=10)
    first = asyncio.create_task(adapter.ask())
    await busy.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await adapter.ask()
    assert await first == 7
    assert [left.remaining for _, left in calls.quotas()] == [9]
    await calls.close()


async def test_quota_and_rate(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls, quota_daily=2)
    assert [await adapter.ask(), await adapter.ask()] == [7, 7]
    with pytest.raises(RateLimited, match="daily quota") as raised:
        await adapter.ask()
    assert 0 < (raised.value.retry_after or 0) <= 86_400
    assert len(outside.got) == 2
    hurried = limited(rate="1/minute")(outside.url, calls)
    await hurried.ask()
    with pytest.raises(RateLimited, match="rate"):
        await hurried.ask()
    assert len(outside.got) == 3


async def test_connections_are_kept_but_for_what_changes_something(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls)
    for call in (adapter.ask, adapter.ask, adapter.file, adapter.file, adapter.ask):
        await call()
    assert [got.connection for got in outside.got] == [1, 1, 2, 3, 1]


async def test_cookies_are_nobodys(outside: Outside, calls: Calls) -> None:
    outside.then.append(replace(OK, headers={"set-cookie": "session=1"}))
    await probe(outside.url, calls).ask()
    await probe(outside.url, calls, tenant="other").ask()
    assert "cookie" not in outside.got[1].headers


@pytest.mark.parametrize("url", ["http://localhost:1", "https://127.0.0.1", "http://[::1]:1", "http://probe.example"])
async def test_this_machine_is_called_only_where_that_is_allowed(url: str) -> None:
    with pytest.raises(ValidationError):
        await probe(url, Calls()).ask()


async def test_a_name_that_leads_to_a_private_address_gets_nothing(outside: Outside) -> None:
    # The URL is checked by its words, the address when it is known: here the first check is left out.
    calls = Calls(policy=QUICK)
    calls._lines._loopback = True
    with pytest.raises(UpstreamError, match="cannot be reached"):
        await probe(outside.url, calls).ask()
    assert outside.got == []


@pytest.mark.parametrize(
    "changes", [{"headers": {"x": "a\r\nb: c"}}, {"headers": {"x": "é"}}, {"query": {"q": "\ud800"}}]
)
async def test_what_cannot_be_sent(outside: Outside, calls: Calls, changes: dict[str, Any]) -> None:
    with pytest.raises(LakefrontError):
        await probe(outside.url, calls).ask(**changes)
    assert outside.got == []


async def test_whoever_leaves_keeps_nothing(outside: Outside) -> None:
    calls = Calls(policy=replace(QUICK, at_once=1), loopback=True)
    outside.then.append(Fault.SILENCE)
    adapter = probe(outside.url, calls)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await adapter.ask()
    assert await adapter.ask() == 7
    await calls.close()
