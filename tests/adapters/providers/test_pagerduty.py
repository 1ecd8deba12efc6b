"""Alerts: triggered, acknowledged and resolved by their key, however often that is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Alert, Delivery, Receipt, Severity
from lakefront.adapters.providers.pagerduty import PagerDuty
from lakefront.errors import UpstreamDenied, UpstreamError, UpstreamRejected, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import parse
from tests.adapters.outside import Outside, told
from tests.adapters.probe import QUICK

ALERT = Alert(
    key="breaker/nyc311",
    summary="The breaker of nyc311 is open.",
    severity=Severity.CRITICAL,
    origin="lakefront-1",
    at=datetime(2026, 5, 28, 14, tzinfo=UTC),
    details={"provider": "nyc311"},
)


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=replace(QUICK, try_timeout=10.0, total_timeout=30.0), loopback=True)
    yield opened
    await opened.close()


def _adapter(url: str, calls: Calls) -> PagerDuty:
    return PagerDuty(Endpoint("city", "pagerduty", "", url, "v2", {"routing_key": "r" * 32}, None, 2), calls)


def _at(city: Simulator, calls: Calls, **credentials: str) -> PagerDuty:
    door = next(door for door in city.endpoints() if door["provider"] == "pagerduty")
    return PagerDuty(Endpoint(tenant="city", quota_daily=None, version=1, **door | _given(credentials)), calls)


def _given(credentials: dict[str, str]) -> dict[str, Any]:
    return {"credentials": credentials} if credentials else {}


async def test_an_alert_is_one_until_it_is_resolved(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        adapter = _at(city, calls)
        receipt = await adapter.trigger(ALERT)
        assert receipt == Receipt(external_id=ALERT.key, delivery=Delivery.ACCEPTED, source="pagerduty")
        await adapter.trigger(ALERT)
        await adapter.acknowledge(ALERT.key)
        await adapter.resolve(ALERT.key)
        await adapter.resolve("never told")
        assert {key: alert["status"] for key, alert in city.alerts.items()} == {ALERT.key: "resolved"}
        actions = [event["action"] for event in city.alerts[ALERT.key]["events"]]
        assert actions == ["trigger", "trigger", "acknowledge", "resolve"]


async def test_what_is_told(calls: Calls) -> None:
    async with Outside(lambda _: told({"status": "success", "dedup_key": "k"}, 202)) as outside:
        await _adapter(outside.url, calls).trigger(ALERT.model_copy(update={"summary": "x" * 2000}))
        await _adapter(outside.url, calls).acknowledge("k")
    triggered, acknowledged = [orjson.loads(got.body) for got in outside.got]
    assert [got.target for got in outside.got] == ["/v2/enqueue"] * 2
    assert triggered == {
        "routing_key": "r" * 32,
        "event_action": "trigger",
        "dedup_key": "breaker/nyc311",
        "client": "Lakefront",
        "payload": {
            "summary": "x" * 1024,
            "source": "lakefront-1",
            "severity": "critical",
            "timestamp": "2026-05-28T14:00:00+00:00",
            "custom_details": {"provider": "nyc311"},
        },
    }
    assert acknowledged == {"routing_key": "r" * 32, "event_action": "acknowledge", "dedup_key": "k"}


@pytest.mark.parametrize("fault", ["reset-after", "error-after", "malformed", "content-type"])
async def test_it_is_told_again_until_it_is_heard(calls: Calls, fault: str) -> None:
    async with Simulator(seed=1) as city:
        city.faults.set([rule.model_copy(update={"times": 1}) for rule in parse(fault)])
        await _at(city, calls).trigger(ALERT)
        assert list(city.alerts) == [ALERT.key]


async def test_refusals_in_words(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator(seed=1) as city:
        with pytest.raises(UpstreamDenied, match="rotateIntegrationKey"):
            await _at(city, calls, routing_key="0" * 32).trigger(ALERT)
        assert [(record.levelname, vars(record)["error_code"]) for record in caplog.records] == [
            ("ERROR", "upstream_denied")
        ]
    async with Outside(lambda _: told({"errors": ["'payload' is odd"]}, 400)) as outside:
        with pytest.raises(UpstreamRejected) as raised:
            await _adapter(outside.url, calls).trigger(ALERT)
        assert raised.value.details == [{"provider": "pagerduty", "status": "400"}]
        outside.rule = lambda _: told({"status": "maybe", "dedup_key": "k"}, 202)
        with pytest.raises(UpstreamError, match="cannot be read"):
            await _adapter(outside.url, calls).resolve("k")


async def test_what_cannot_be_an_alert_is_not_told(calls: Calls) -> None:
    async with Outside() as outside:
        for change in ({"key": ""}, {"key": "x" * 256}, {"summary": " "}, {"origin": ""}):
            with pytest.raises(ValidationError):
                await _adapter(outside.url, calls).trigger(ALERT.model_copy(update=change))
    assert outside.got == []
