"""PagerDuty's Events API v2."""

from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.pagerduty import ROUTING_KEY

PATH = "/pagerduty/v2/enqueue"
EVENT: dict[str, Any] = {
    "routing_key": ROUTING_KEY,
    "event_action": "trigger",
    "dedup_key": "breaker/nyc311",
    "payload": {
        "summary": "The breaker of NYC 311 is open",
        "source": "lakefront",
        "severity": "critical",
        "custom_details": {"minutes": 5},
    },
}


async def say(http: httpx.AsyncClient, action: str, **change: Any) -> httpx.Response:
    return await http.post(PATH, json={**EVENT, "event_action": action, **change})


async def test_an_alert_goes_its_way(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await say(http, "trigger")
    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "breaker/nyc311"}
    statuses = []
    for action in ("trigger", "acknowledge", "trigger", "resolve", "acknowledge"):
        await say(http, action)
        statuses.append((await http.get("/_control/alerts")).json()[0]["status"])
    assert statuses == ["triggered", "acknowledged", "acknowledged", "resolved", "acknowledged"]
    (alert,) = city.alerts.values()
    assert (alert["severity"], len(alert["events"])) == ("critical", 6)


async def test_what_is_resolved_begins_anew(city: Simulator, http: httpx.AsyncClient) -> None:
    for action in ("trigger", "resolve", "trigger"):
        await say(http, action)
    assert [(alert["status"], len(alert["events"])) for alert in city.alerts.values()] == [("triggered", 1)]


async def test_without_a_key_each_is_an_alert(city: Simulator, http: httpx.AsyncClient) -> None:
    keys = {(await say(http, "trigger", dedup_key=None)).json()["dedup_key"] for _ in range(2)}
    assert len(keys) == len(city.alerts) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"routing_key": "short"}, "Length of 'routing_key' is incorrect"),
        ({"routing_key": "x" * 32}, "'routing_key' is invalid"),
        ({"event_action": "shout"}, "'event_action'"),
        ({"event_action": "resolve", "dedup_key": None}, "'dedup_key' is missing"),
        ({"dedup_key": "x" * 256}, "'dedup_key' is too long"),
        ({"payload": None}, "'payload.summary' is missing"),
        ({"payload": {**EVENT["payload"], "summary": "x" * 1025}}, "'payload.summary' is too long"),
        ({"payload": {**EVENT["payload"], "severity": "mild"}}, "'payload.severity' is invalid"),
    ],
)
async def test_an_invalid_event_says_why(http: httpx.AsyncClient, change: dict[str, Any], told: str) -> None:
    answer = await http.post(PATH, json={**EVENT, **change})
    assert answer.status_code == 400
    assert (answer.json()["status"], answer.json()["message"]) == ("invalid event", "Event object is invalid")
    assert any(told in error for error in answer.json()["errors"])


async def test_too_many_events(city: Simulator, http: httpx.AsyncClient) -> None:
    city.limits.set({"pagerduty": "1/minute"})
    answers = [await say(http, "trigger") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert answers[1].json()["status"] == "throttle exceeded"
