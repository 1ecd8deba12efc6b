"""SendGrid: e-mail (C8)."""

from email.utils import parseaddr
from typing import Any, ClassVar

from lakefront.adapters.calls import Request, Response, Unreadable
from lakefront.adapters.dto import Wire
from lakefront.adapters.messages import Delivery, Mail, Messenger, Receipt, denied, mail_address, written

_SUBJECT, _TEXT = 998, 100_000
"""Characters: of a header's line (RFC 5322), and of what anybody will read."""


class SendGrid(Messenger):
    """``v3``. It knows no mail again: what may have been sent is not sent twice. Nobody is followed by it either."""

    provider = "sendgrid"
    title = "SendGrid"
    default_base_url = "https://api.sendgrid.com"
    api_versions = ("v3",)
    credentials: ClassVar = {
        "key": "API key (SG.…) that may send mail",
        "from": "who mails are from, an address that SendGrid has verified: The city <city@example.org>",
    }
    quota_daily = 100

    async def send(self, mail: Mail, *, dry_run: bool = False, trace_id: str = "") -> Receipt:
        """Send it; with ``dry_run`` SendGrid looks at it and sends nothing (sandbox mode)."""
        request = Request(
            name="send",
            method="POST",
            path="/v3/mail/send",
            headers=self._key(),
            json=self._written(mail, dry_run=dry_run),
            most_bytes=64 * 1024,
        )
        return await self._call(request, _taken, trace_id=trace_id, idempotent=dry_run)

    async def test(self) -> None:
        """What the key may do: send mails, one hopes."""
        await self._call(Request("scopes", "GET", "/v3/scopes", headers=self._key()), _may_send)

    def _key(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.credential('key')}"}

    def _written(self, mail: Mail, *, dry_run: bool) -> dict[str, Any]:
        """As https://www.twilio.com/docs/sendgrid/api-reference/mail-send has it."""
        name, address = parseaddr(self.credential("from"))
        content = [{"type": "text/plain", "value": written(mail.text, "text", most=_TEXT)}]
        if mail.html is not None:
            content.append({"type": "text/html", "value": written(mail.html, "html", most=_TEXT)})
        return {
            "personalizations": [{"to": [{"email": mail_address(mail.to)}]}],
            "from": {"email": address} | ({"name": name} if name else {}),
            "subject": " ".join(written(mail.subject, "subject", most=_SUBJECT).split()),
            "content": content,
            "custom_args": {"reference": mail.reference} if mail.reference else {},
            # Else links lead through SendGrid, and a picture tells who read what and when.
            "tracking_settings": {name: {"enable": False} for name in ("click_tracking", "open_tracking")},
            "mail_settings": {"sandbox_mode": {"enable": dry_run}},
        }


class _Scopes(Wire):
    scopes: list[str]


def _may_send(answer: Response) -> None:
    if "mail.send" not in answer.model(_Scopes).scopes:
        raise denied("does not let this key send mail", answer)


def _taken(answer: Response) -> Receipt:
    if answer.body:
        raise Unreadable("it says something where only its status should tell")
    external_id = answer.headers.get("x-message-id") if answer.status == 202 else None
    return Receipt(external_id=external_id, delivery=Delivery.ACCEPTED, source=SendGrid.provider)
