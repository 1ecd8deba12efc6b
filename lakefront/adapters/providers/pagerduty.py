"""PagerDuty: alerts for whoever is on call (C8, C13)."""

from typing import Any, ClassVar

from lakefront.adapters.calls import Request, Response, Unreadable
from lakefront.adapters.dto import Wire
from lakefront.adapters.messages import Alert, Delivery, Messenger, Receipt, denied, written

_KEY, _SUMMARY = 255, 1024
"""Characters of an alert's key and summary."""


class PagerDuty(Messenger):
    """Events API ``v2``. An alert is known by its key: told again it stays one, so that calls are tried again."""

    provider = "pagerduty"
    title = "PagerDuty"
    default_base_url = "https://events.pagerduty.com"
    api_versions = ("v2",)
    credentials: ClassVar = {"routing_key": "integration key of an Events API v2 integration, 32 characters"}
    rate = "120/minute"

    async def trigger(self, alert: Alert, *, trace_id: str = "") -> Receipt:
        """Tell of it. A summary that is too long is cut: that it is told at all matters more."""
        payload: dict[str, Any] = {
            "summary": written(alert.summary[:_SUMMARY], "summary", most=_SUMMARY),
            "source": written(alert.origin, "origin", most=_SUMMARY),
            "severity": alert.severity.value.lower(),
            "custom_details": alert.details,
        }
        if alert.at is not None:
            payload["timestamp"] = alert.at.isoformat()
        return await self._enqueue("trigger", alert.key, trace_id, client="Lakefront", payload=payload)

    async def acknowledge(self, key: str, *, trace_id: str = "") -> Receipt:
        """Somebody looks after the alert."""
        return await self._enqueue("acknowledge", key, trace_id)

    async def resolve(self, key: str, *, trace_id: str = "") -> Receipt:
        """It is over; of what was never told, nothing."""
        return await self._enqueue("resolve", key, trace_id)

    async def test(self) -> None:
        """Resolve what never was: nobody is called for that."""
        await self.resolve("lakefront-test")

    async def _enqueue(self, action: str, key: str, trace_id: str, **more: Any) -> Receipt:
        event = {
            "routing_key": self.credential("routing_key"),
            "event_action": action,
            "dedup_key": written(key, "key", most=_KEY),
            **more,
        }
        request = Request(action, "POST", "/v2/enqueue", json=event, expected=frozenset({400}), most_bytes=64 * 1024)
        return await self._call(request, self._taken, trace_id=trace_id)

    def _taken(self, answer: Response) -> Receipt:
        if answer.status == 400:
            # Also of a wrong key it says 400, and only in words.
            if any("routing_key" in error for error in answer.model(_Refusal).errors):
                raise denied("does not know our key", answer)
            raise self._rejected("refuses this event: correct it, the same will be refused again", 400)
        told = answer.model(_Taken)
        if told.status != "success":
            raise Unreadable("it does not say success")
        return Receipt(external_id=told.dedup_key, delivery=Delivery.ACCEPTED, source=self.provider)


class _Taken(Wire):
    """https://developer.pagerduty.com/docs/events-api-v2/overview/."""

    status: str
    dedup_key: str


class _Refusal(Wire):
    errors: tuple[str, ...] = ()
