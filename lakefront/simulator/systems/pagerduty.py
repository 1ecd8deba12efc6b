"""PagerDuty's Events API v2: alerts are triggered, acknowledged and resolved by their key."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import as_json, read_object
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import Door, System

ROUTING_KEY: Final = "51a1" * 8

ACTIONS: Final = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
SEVERITIES: Final = ("critical", "error", "warning", "info")


class PagerDuty(System):
    """An alert that is triggered again stays one; what is resolved and triggered again begins anew."""

    name = "pagerduty"
    title = "PagerDuty"
    limits: ClassVar[Mapping[str, str]] = {"pagerduty": "120/minute"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self._random = Random(f"{city.seed}/pagerduty")

    def routes(self) -> Sequence[Route]:
        """The one call."""
        return [Route("/v2/enqueue", self.enqueue, methods=["POST"])]

    def doors(self) -> Sequence[Door]:
        """An integration of a service."""
        return [Door("v2", {"routing_key": ROUTING_KEY})]

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As they tell it."""
        told = "Requests for this service are arriving too quickly.  Please retry later."
        return as_json({"status": "throttle exceeded", "message": told}, 429)

    async def enqueue(self, request: Request) -> Response:
        """202 with the alert's key."""
        event = await read_object(request, _invalid("JSON could not be parsed"))
        wrong = list(_wrong(event))
        if wrong:
            return _invalid(*wrong)
        action, now = event["event_action"], iso(self.city.clock.now())
        key = event.get("dedup_key") or f"{self._random.getrandbits(128):032x}"
        alert = self.city.alerts.get(key)
        if action == "trigger" and (alert is None or alert["status"] == "resolved"):
            payload = event["payload"]
            alert = self.city.alerts[key] = {
                "key": key,
                "status": "triggered",
                "summary": payload["summary"],
                "severity": payload["severity"],
                "source": payload["source"],
                "events": [],
            }
        if alert is not None:
            if action != "trigger":
                alert["status"] = ACTIONS[action]
            alert["events"].append({"at": now, "action": action, "payload": event.get("payload")})
        return as_json({"status": "success", "message": "Event processed", "dedup_key": key}, 202)


def _wrong(event: Mapping[str, Any]) -> Sequence[str]:
    wrong = []
    key = event.get("routing_key")
    if not isinstance(key, str) or len(key) != len(ROUTING_KEY):
        wrong.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif key != ROUTING_KEY:
        wrong.append("'routing_key' is invalid: no such integration")
    action, dedup = event.get("event_action"), event.get("dedup_key")
    if not isinstance(action, str) or action not in ACTIONS:
        wrong.append("'event_action' is missing or not one of trigger, acknowledge, resolve")
        return wrong
    if not isinstance(dedup, str | None):
        wrong.append("'dedup_key' must be a string")
    elif action != "trigger" and not dedup:
        wrong.append("'dedup_key' is missing or blank")
    elif len(dedup or "") > 255:
        wrong.append("'dedup_key' is too long (maximum is 255 characters)")
    if action == "trigger":
        payload = event.get("payload")
        told = payload if isinstance(payload, dict) else {}
        wrong += [
            f"'payload.{name}' is missing or blank" for name in ("summary", "source", "severity") if not told.get(name)
        ]
        if len(str(told.get("summary", ""))) > 1024:
            wrong.append("'payload.summary' is too long (maximum is 1024 characters)")
        if told.get("severity") and told["severity"] not in SEVERITIES:
            wrong.append(f"'payload.severity' is invalid (must be one of {', '.join(SEVERITIES)})")
    return wrong


def _invalid(*errors: str) -> Response:
    return as_json({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)
