"""Slack: messages into a channel, by an incoming webhook (C8)."""

from typing import ClassVar

from lakefront.adapters.calls import Request, Response, Unreadable, segment
from lakefront.adapters.messages import Delivery, Messenger, Receipt, denied, written


class Slack(Messenger):
    """The path of a webhook is its secret, and of one channel. It knows no message again."""

    provider = "slack"
    title = "Slack"
    default_base_url = "https://hooks.slack.com"
    api_versions = ("webhook",)
    credentials: ClassVar = {"path": "what stands behind the host in the webhook's URL: /services/T…/B…/…"}
    rate = "1/second"

    async def post(self, text: str, *, trace_id: str = "") -> Receipt:
        """Write ``text`` into the channel, as it is: nothing in it notifies anybody, or hides where a link leads."""
        return await self._call(self._post(text), self._posted, trace_id=trace_id, idempotent=False)

    async def test(self) -> None:
        """Write so into the channel: Slack has no other way to tell whether a webhook holds."""
        await self._call(self._post("Lakefront can write into this channel."), self._posted)

    def _post(self, text: str) -> Request:
        shown = written(text, "text", most=10_000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        secret = self.credential("path").strip().removeprefix(self.endpoint.base_url).strip("/")
        return Request(
            name="post",
            method="POST",
            path="".join(f"/{segment(part)}" for part in secret.split("/")),
            json={"text": shown, "unfurl_links": False},
            kinds=("text/plain", "text/html"),
            most_bytes=1024,
            expected=frozenset({404}),
            patience=20.0,
        )

    def _posted(self, answer: Response) -> Receipt:
        if answer.status == 404:
            raise denied("has no such webhook any more", answer)
        if answer.body.strip() != b"ok":
            raise Unreadable("it does not say ok")
        return Receipt(external_id=None, delivery=Delivery.DELIVERED, source=self.provider)
