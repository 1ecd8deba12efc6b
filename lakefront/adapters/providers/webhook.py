"""Webhooks: other people's servers are told what happened (C8). ``docs/webhooks.md`` is for those who run them."""

import re
import time
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import orjson

from lakefront.adapters.calls import Request, Response, Unreadable
from lakefront.adapters.calls.reading import media_type
from lakefront.adapters.messages import Delivery, Messenger, Notification, Receipt
from lakefront.adapters.signatures import key_of, signed
from lakefront.errors import UpstreamDenied, ValidationError

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_BYTES = 256 * 1024


class Webhook(Messenger):
    """Signed as Standard Webhooks (``v1``). Receivers know an event by its id, so that deliveries are tried again."""

    provider = "webhook"
    title = "The webhook's receiver"
    default_base_url = "https://receiver.example/hooks/lakefront"
    api_versions = ("v1",)
    credentials: ClassVar = {
        "secret": "secret that both know (whsec_ and base64, or any text)",
        "next_secret": "the one that comes after it: while it is set, both sign",
        "path": "what comes behind the base URL, with its query, where the URL is itself a secret",
    }
    optional_credentials = frozenset({"next_secret", "path"})
    traced = True

    async def deliver(self, event: Notification, *, trace_id: str = "") -> Receipt:
        """Tell of ``event``, which is taken by any answer of 2xx but a page of HTML: those come from proxies."""
        if not _ID.fullmatch(event.id):
            message = "Give an id of 1 to 64 letters, digits, _ and -."
            raise ValidationError(message, details=[{"field": "id", "message": message}])
        told = {"id": event.id, "type": event.type, "timestamp": event.at.isoformat(), "data": event.data}
        try:
            body = orjson.dumps(told)
        except TypeError:
            raise ValidationError("The event has what JSON cannot say.") from None
        if len(body) > _MOST_BYTES:
            raise ValidationError(f"The event has more than {_MOST_BYTES} bytes: tell where it can be read instead.")
        path, query = self._place()
        request = Request(
            name="deliver",
            method="POST",
            path=path,
            query=query,
            headers=signed(event.id, int(time.time()), body, self._keys()) | {"content-type": "application/json"},
            content=body,
            kinds=("application/json", "text/*"),
            most_bytes=64 * 1024,
        )
        await self._call(request, _taken, trace_id=trace_id)
        return Receipt(external_id=event.id, delivery=Delivery.DELIVERED, source=self.provider)

    async def test(self) -> None:
        """An event of the type ``test``, which receivers take and do nothing about."""
        await self.deliver(Notification(id=f"test-{uuid4().hex}", type="test", at=datetime.now(UTC), data={}))

    def _keys(self) -> list[bytes]:
        secrets = [self.credential("secret"), self.endpoint.credentials.get("next_secret")]
        try:
            return [key_of(secret) for secret in secrets if secret]
        except ValueError:
            told = "A secret of the webhook is no base64 behind whsec_. Set it again: rotateIntegrationKey."
            raise UpstreamDenied(told, details=[{"provider": self.provider}]) from None

    def _place(self) -> tuple[str, list[tuple[str, str]]]:
        """What comes behind the base URL: a path, and a query."""
        path, _, query = self.endpoint.credentials.get("path", "").partition("?")
        if not path.startswith("/") and (path or not urlsplit(self.endpoint.base_url).path):
            path = f"/{path}"
        return path, parse_qsl(query, keep_blank_values=True)


def _taken(answer: Response) -> None:
    """Read so much that what stands in front of a receiver is not taken for it."""
    if media_type(answer.headers.get("content-type", "")).endswith("json") and answer.body:
        answer.json()
    elif answer.body.lstrip()[:1] == b"<":
        raise Unreadable("a page of HTML, not the receiver, answers")
