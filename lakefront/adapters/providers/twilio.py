"""Twilio: text messages (C8)."""

from base64 import b64encode
from typing import ClassVar

from lakefront.adapters.calls import Request, Response, segment
from lakefront.adapters.dto import Wire, found_at
from lakefront.adapters.messages import Delivery, Messenger, Receipt, TextMessage, denied, telephone, written

_QUEUE = 20.0
"""Seconds that a message waits for its turn: so many may stand in the line, of all servers together."""

_STANDS = {
    "sent": Delivery.SENT,
    "delivered": Delivery.DELIVERED,
    "read": Delivery.DELIVERED,
    "undelivered": Delivery.FAILED,
    "failed": Delivery.FAILED,
    "canceled": Delivery.FAILED,
}
"""Of all others (accepted, scheduled, queued, sending) it is on its way."""

_REFUSALS = {
    21211: "says that this is no telephone number: correct it",
    21408: "may not send to that country: an operator has to allow it there",
    21610: "may not write to this number, whose owner told it to stop: do not send there again",
    21614: "says that this number takes no text messages: do not send there again",
}
"""https://www.twilio.com/docs/api/errors; of these whoever sends has to know."""


class Twilio(Messenger):
    """``2010-04-01``. It knows no message again: what may have been sent is not sent twice."""

    provider = "twilio"
    title = "Twilio"
    default_base_url = "https://api.twilio.com"
    api_versions = ("2010-04-01",)
    credentials: ClassVar = {
        "account_sid": "account (AC…)",
        "auth_token": "its auth token",
        "from": "the number that messages are from (+12125550100), or a messaging service (MG…)",
    }
    rate = "1/second"

    async def send(self, message: TextMessage, *, trace_id: str = "") -> Receipt:
        """Send it when its turn comes, one a second; ``UpstreamRejected`` has Twilio's number of the reason."""
        sender = self.credential("from")
        form = [
            ("To", telephone(message.to)),
            ("MessagingServiceSid" if sender.startswith("MG") else "From", sender),
            ("Body", written(message.text, "text", most=1600)),
        ]
        request = Request(
            name="send",
            method="POST",
            path=f"{self._account()}/Messages.json",
            headers=self._key(),
            form=form,
            expected=frozenset({400}),
            patience=_QUEUE,
        )
        return await self._call(request, self._taken, trace_id=trace_id, idempotent=False)

    async def status(self, external_id: str, *, trace_id: str = "") -> Receipt | None:
        """How far a message got; None where Twilio knows none of that id."""
        path = f"{self._account()}/Messages/{segment(external_id)}.json"
        request = Request("status", "GET", path, headers=self._key(), expected=frozenset({404}), patience=_QUEUE)
        return await self._call(
            request, lambda answer: None if answer.status == 404 else _receipt(answer), trace_id=trace_id
        )

    async def test(self) -> None:
        """The account, whether it is active."""
        await self._call(Request("account", "GET", f"{self._account()}.json", headers=self._key()), _active)

    def _account(self) -> str:
        return f"/2010-04-01/Accounts/{segment(self.credential('account_sid'))}"

    def _key(self) -> dict[str, str]:
        pair = f"{self.credential('account_sid')}:{self.credential('auth_token')}"
        return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def _taken(self, answer: Response) -> Receipt:
        if answer.status != 400:
            return _receipt(answer)
        code = answer.model(_Refusal).code
        why = _REFUSALS.get(code or 0, "refuses this message: correct it, the same will be refused again")
        raise self._rejected(why, answer.status, code=code)


class _Message(Wire):
    """https://www.twilio.com/docs/messaging/api/message-resource."""

    external_id: str = found_at("sid", min_length=1)
    status: str


class _Account(Wire):
    status: str


class _Refusal(Wire):
    code: int | None = None


def _active(answer: Response) -> None:
    if answer.model(_Account).status != "active":
        raise denied("says that the account is not active", answer)


def _receipt(answer: Response) -> Receipt:
    told = answer.model(_Message)
    delivery = _STANDS.get(told.status, Delivery.ACCEPTED)
    return Receipt(external_id=told.external_id, delivery=delivery, source=Twilio.provider)
