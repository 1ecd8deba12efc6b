"""Webhooks: signed, told again under the same id, and taken by nothing but a receiver."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from lakefront import tracing
from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Delivery, Notification, Receipt
from lakefront.adapters.providers.pagerduty import PagerDuty
from lakefront.adapters.providers.webhook import Webhook
from lakefront.adapters.signatures import key_of, signed
from lakefront.errors import UpstreamDenied, UpstreamError, UpstreamRejected, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import parse
from lakefront.simulator.systems.webhook import SECOND_SECRET, SECRET
from tests.adapters.outside import Answer, Outside, told
from tests.adapters.probe import QUICK

EVENT = Notification(id="evt_1", type="service_request.closed", at=datetime(2026, 5, 28, tzinfo=UTC), data={"id": "r"})


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=replace(QUICK, try_timeout=10.0, total_timeout=30.0), loopback=True)
    yield opened
    await opened.close()


def _adapter(url: str, calls: Calls, version: int = 1, **credentials: str) -> Webhook:
    given = credentials or {"secret": SECRET}
    return Webhook(Endpoint("city", "webhook", "", url, "v1", given, None, version), calls)


def _at(city: Simulator, calls: Calls, version: int = 1, **credentials: str) -> Webhook:
    return _adapter(f"{city.url}/webhook/hooks/city", calls, version, **credentials)


async def test_an_event_is_told(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        receipt = await _at(city, calls).deliver(EVENT)
        assert receipt == Receipt(external_id="evt_1", delivery=Delivery.DELIVERED, source="webhook")
        (kept,) = city.webhooks
        assert (kept["id"], kept["path"], kept["problem"]) == ("evt_1", "/hooks/city", None)
        assert kept["content_type"] == "application/json"
        assert kept["body"] == {
            "id": "evt_1",
            "type": "service_request.closed",
            "timestamp": "2026-05-28T00:00:00+00:00",
            "data": {"id": "r"},
        }


async def test_a_receiver_may_join_the_trace_and_others_are_told_nothing_of_it(calls: Calls) -> None:
    trace_id = tracing.new_trace_id()
    async with Outside() as receiver:
        await _adapter(receiver.url, calls).deliver(EVENT, trace_id=trace_id)
        await _adapter(receiver.url, calls).deliver(EVENT, trace_id="no trace of W3C's")
        key = {"routing_key": "k" * 32}
        pager = PagerDuty(Endpoint("city", "pagerduty", "", receiver.url, "v2", key, None, 1), calls)
        receiver.then.append(told({"status": "success", "dedup_key": "k"}))
        await pager.resolve("k", trace_id=trace_id)
        joined, unknown, paged = receiver.got
    assert re.fullmatch(rf"00-{trace_id}-[0-9a-f]{{16}}-00", joined.headers["traceparent"])
    assert not {"traceparent"} & {*unknown.headers, *paged.headers}


async def test_while_a_secret_is_changed_both_sign(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        await _at(city, calls, secret="whsec_b2xk", next_secret=SECRET).deliver(EVENT)
        await _at(city, calls, 2, secret=SECOND_SECRET).deliver(EVENT)
        with pytest.raises(UpstreamDenied):
            await _at(city, calls, 3, secret="whsec_b2xk").deliver(EVENT)
        assert [kept["problem"] is None for kept in city.webhooks] == [True, True, False]


@pytest.mark.parametrize("fault", ["reset-after", "error-after", "malformed", "content-type"])
async def test_it_is_told_again_under_its_id(calls: Calls, fault: str) -> None:
    async with Simulator(seed=1) as city:
        city.faults.set([rule.model_copy(update={"times": 1}) for rule in parse(fault)])
        await _at(city, calls).deliver(EVENT)
        assert {kept["id"] for kept in city.webhooks} == {"evt_1"}
        assert [kept["again"] for kept in city.webhooks] == [False, True][: len(city.webhooks)]


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(204, b""), Answer(200, b"ok", kind="text/html"), Answer(200, b"ok", kind="text/plain")),
        *(Answer(202, b"{}"), Answer(200, b"", kind="text/html"), Answer(201, b"", kind="")),
    ],
    ids=["204", "html-ok", "text", "json", "html-empty", "nothing"],
)
async def test_any_yes_is_one(calls: Calls, answer: Answer) -> None:
    async with Outside(lambda _: answer) as outside:
        await _adapter(outside.url, calls).deliver(EVENT)
    (got,) = outside.got
    assert got.target == "/"
    signature = signed("evt_1", int(got.headers["webhook-timestamp"]), got.body, [key_of(SECRET)])
    assert signature["webhook-signature"] == got.headers["webhook-signature"]
    assert SECRET not in f"{got}"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, b"\n<html>Sign in", kind="text/html"), UpstreamError),
        (Answer(302, headers={"location": "/login"}), UpstreamError),
        (Answer(410), UpstreamRejected),
        (Answer(401), UpstreamDenied),
    ],
    ids=["page", "redirect", "gone", "denied"],
)
async def test_what_is_no_yes(calls: Calls, answer: Answer, error: type[Exception]) -> None:
    async with Outside(lambda _: answer) as outside:
        with pytest.raises(error):
            await _adapter(f"{outside.url}/hooks", calls).deliver(EVENT)
    assert {got.target for got in outside.got} == {"/hooks"}


@pytest.mark.parametrize(
    "change",
    [{"id": ""}, {"id": "a b"}, {"id": "a\r\nb"}, {"id": "x" * 65}, {"data": {"x": "x" * 300_000}}, {"data": {1: 2}}],
    ids=["none", "space", "line", "long", "large", "key"],
)
async def test_what_cannot_be_told_is_not(calls: Calls, change: dict[str, Any]) -> None:
    async with Outside() as outside:
        with pytest.raises(ValidationError):
            await _adapter(outside.url, calls).deliver(EVENT.model_copy(update=change))
    assert outside.got == []


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("", "", "/"),
        ("/hooks", "", "/hooks"),
        ("/hooks", "/", "/hooks/"),
        ("/hooks", "a/b/", "/hooks/a/b/"),
        ("", "/a?sig=a%2Fb&v=", "/a?sig=a%2Fb&v="),
        ("", "?sig=1", "/?sig=1"),
        ("/hooks", "?sig=1", "/hooks?sig=1"),
    ],
)
async def test_urls_that_are_secrets(calls: Calls, base: str, path: str, target: str) -> None:
    async with Outside() as outside:
        await _adapter(f"{outside.url}{base}", calls, secret=SECRET, path=path).deliver(EVENT)
    assert [got.target for got in outside.got] == [target]


async def test_a_secret_that_is_none_is_told_without_a_word_of_it(calls: Calls) -> None:
    async with Outside() as outside:
        with pytest.raises(UpstreamDenied, match="no base64 behind whsec_") as raised:
            await _adapter(outside.url, calls, secret="whsec_###").deliver(EVENT)
    assert "###" not in raised.value.message
    assert outside.got == []


async def test_bodies_are_the_same_in_each_try(calls: Calls) -> None:
    async with Outside() as outside:
        outside.then.extend([Answer(503), Answer(500)])
        await _adapter(outside.url, calls).deliver(EVENT)
    assert len(outside.got) == 3
    assert len({(got.body, got.headers["webhook-signature"]) for got in outside.got}) == 1
    assert orjson.loads(outside.got[0].body)["id"] == "evt_1"
