"""Twilio: messages, by the REST API of 2010-04-01."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from email.utils import format_datetime
from math import ceil
from random import Random
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import Refusal, as_json, basic, read_form
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System

ACCOUNT: Final = "AC" + "5" * 32
TOKEN: Final = "simulated-auth-token"  # noqa: S105 - made up
SENDER: Final = "+12125550100"
SERVICE: Final = "MG" + "5" * 32

UNREACHABLE: Final = "+15005550001"

MOST_CHARACTERS: Final = 1600
SEGMENT: Final = 160

E164: Final = re.compile(r"\+[1-9]\d{6,14}")
STAGES: Final = ((0, "queued"), (2, "sent"), (5, "delivered"))
"""Seconds of the city after which a message stands so."""


class Twilio(System):
    """Messages are kept for ``/_control/messages``; ``+15005550001`` cannot be reached, as with their test keys."""

    name = "twilio"
    title = "Twilio"
    limits: ClassVar[Mapping[str, str]] = {"twilio": "1/second"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self._random = Random(f"{city.seed}/twilio")
        self._messages: dict[str, dict[str, Any]] = {}

    def routes(self) -> Sequence[Route]:
        """Sending, reading, and the account."""
        account = "/2010-04-01/Accounts/{account}"
        return [
            Route(f"{account}.json", self.account, methods=["GET"]),
            Route(f"{account}/Messages.json", self.send, methods=["POST"]),
            Route(f"{account}/Messages/{{sid}}.json", self.message, methods=["GET"]),
        ]

    def doors(self) -> Sequence[Door]:
        """An account, and a number that it may send from."""
        return [Door("2010-04-01", {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": SENDER})]

    def caller(self, request: Request) -> str:
        """The account."""
        told = basic(request)
        return told[0] if told else super().caller(request)

    def limit(self, request: Request) -> str:
        """Messages are counted, and nothing else."""
        return self.name if request.method == "POST" else ""

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As they tell it."""
        return _error(429, 20429, "Too Many Requests")

    async def account(self, request: Request) -> Response:
        """A call that changes nothing."""
        self._admit(request)
        return as_json({"sid": ACCOUNT, "friendly_name": "Made up", "status": "active", "type": "Trial"})

    async def send(self, request: Request) -> Response:
        """201 with the message; its ``status`` goes from queued to delivered."""
        self._admit(request)
        form = dict(await read_form(request))
        to, sender, body = (
            form.get("To", ""),
            form.get("From") or form.get("MessagingServiceSid", ""),
            form.get("Body", ""),
        )
        refusal = _refusal(to, sender, body)
        if refusal is not None:
            return refusal
        now, sid = self.city.clock.now(), f"SM{self._random.getrandbits(128):032x}"
        service = sender if sender.startswith("MG") else None
        self._messages[sid] = {
            "sid": sid,
            "account_sid": ACCOUNT,
            "messaging_service_sid": service,
            "api_version": "2010-04-01",
            "to": to,
            "from": None if service else sender,
            "body": body,
            "direction": "outbound-api",
            "num_segments": "0" if service else str(ceil(len(body) / SEGMENT)),
            "num_media": "0",
            "price": None,
            "price_unit": "USD",
            "error_code": None,
            "error_message": None,
            "date_created": format_datetime(now),
            "date_updated": format_datetime(now),
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json",
            "subresource_uris": {"media": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}/Media.json"},
            "_at": now,
        }
        told = {"to": to, "from": sender, "body": body}
        self.city.messages.append({"system": self.name, "id": sid, "at": iso(now), "message": told})
        return as_json(self._told(sid), 201)

    async def message(self, request: Request) -> Response:
        """A message, and how far it got."""
        self._admit(request)
        sid = request.path_params["sid"]
        if sid not in self._messages:
            path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json"
            return _error(404, 20404, f"The requested resource {path} was not found")
        return as_json(self._told(sid))

    def _told(self, sid: str) -> dict[str, Any]:
        kept = self._messages[sid]
        age = self.city.clock.now() - kept["_at"]
        status = [name for after, name in STAGES if age >= timedelta(seconds=after)] or ["queued"]
        sent = format_datetime(kept["_at"]) if status[-1] != "queued" else None
        return {name: value for name, value in kept.items() if name != "_at"} | {
            "status": status[-1],
            "date_sent": sent,
        }

    def _admit(self, request: Request) -> None:
        account, token = basic(request) or ("", "")
        if token == SUSPENDED:
            raise Refusal(_error(403, 20005, "Account not active"))
        if not (self.shows(account, (ACCOUNT,)) and self.shows(token, (TOKEN,))):
            raise Refusal(_error(401, 20003, "Authenticate"))
        if request.path_params["account"] != ACCOUNT:
            raise Refusal(_error(404, 20404, "The requested resource was not found"))


def _refusal(to: str, sender: str, body: str) -> Response | None:
    """Why a message is not taken, in Twilio's numbers."""
    checks = (
        (not to, 21604, "A 'To' phone number is required."),
        (not sender, 21603, "A 'From' phone number is required."),
        (not body, 21602, "Message body is required."),
        (len(body) > MOST_CHARACTERS, 21617, "The concatenated message body exceeds the 1600 character limit."),
        (not E164.fullmatch(to) or to == UNREACHABLE, 21211, "The 'To' number is not a valid phone number."),
        (sender not in {SENDER, SERVICE}, 21606, "The 'From' number is not a valid message-capable Twilio number."),
    )
    return next((_error(400, code, message) for wrong, code, message in checks if wrong), None)


def _error(status: int, code: int, message: str) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return as_json({"code": code, "message": message, "more_info": more, "status": status}, status)
