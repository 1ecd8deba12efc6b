"""SendGrid: ``POST /v3/mail/send``."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import Refusal, as_json, bearer, read_object
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System, seconds

KEY: Final = "SG.simulated"

MOST_RECIPIENTS: Final = 1000


class SendGrid(System):
    """Mails are kept for ``/_control/messages``, and sent to nobody."""

    name = "sendgrid"
    title = "SendGrid"
    limits: ClassVar[Mapping[str, str]] = {"sendgrid": "100/day"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self._random = Random(f"{city.seed}/sendgrid")

    def routes(self) -> Sequence[Route]:
        """Sending, and what the key may do."""
        return [Route("/v3/mail/send", self.send, methods=["POST"]), Route("/v3/scopes", self.scopes)]

    def doors(self) -> Sequence[Door]:
        """A key."""
        return [Door("v3", {"key": KEY})]

    def caller(self, request: Request) -> str:
        """The key."""
        return bearer(request) or super().caller(request)

    def limit(self, request: Request) -> str:
        """Mails are counted, and nothing else."""
        return self.name if request.method == "POST" else ""

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As they tell it."""
        response = _errors(429, ("too many requests", None))
        reset = int(self.city.clock.now().timestamp()) + seconds(exceeded.wait)
        response.headers.update(
            {
                "x-ratelimit-limit": str(exceeded.rate.calls),
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": str(reset),
            }
        )
        return response

    async def scopes(self, request: Request) -> Response:
        """A call that changes nothing."""
        self._admit(request)
        return as_json({"scopes": ["mail.send"]})

    async def send(self, request: Request) -> Response:
        """202 and ``X-Message-Id``; 200 in sandbox mode, where nothing is sent."""
        self._admit(request)
        mail = await read_object(request, _errors(400, ("Bad Request", None)))
        wrong = list(_wrong(mail))
        if wrong:
            return _errors(400, *wrong)
        settings = mail.get("mail_settings")
        sandbox = settings.get("sandbox_mode") if isinstance(settings, dict) else None
        if isinstance(sandbox, dict) and sandbox.get("enable") is True:
            return Response(status_code=200)
        id_ = f"{self._random.getrandbits(88):022x}"
        self.city.messages.append({"system": self.name, "id": id_, "at": iso(self.city.clock.now()), "message": mail})
        return Response(status_code=202, headers={"x-message-id": id_})

    def _admit(self, request: Request) -> None:
        key = bearer(request)
        if key == SUSPENDED:
            raise Refusal(_errors(403, ("access forbidden", None)))
        if not self.shows(key, (KEY,)):
            raise Refusal(_errors(401, ("The provided authorization grant is invalid, expired, or revoked", None)))


def _wrong(mail: Mapping[str, Any]) -> Sequence[tuple[str, str | None]]:
    """Messages and the fields that they are about."""
    wrong: list[tuple[str, str | None]] = []
    letters = mail.get("personalizations")
    if not isinstance(letters, list) or not 1 <= len(letters) <= MOST_RECIPIENTS:
        wrong.append(
            ("The personalizations field is required and must have at least one personalization.", "personalizations")
        )
    else:
        for place, letter in enumerate(letters):
            to = letter.get("to") if isinstance(letter, dict) else None
            if not isinstance(to, list) or not to or not all(map(_is_address, to)):
                where = f"personalizations.{place}.to"
                wrong.append(("The to array is required for all personalization objects, with valid addresses.", where))
    if not _is_address(mail.get("from")):
        wrong.append(("The from object must be provided for every email send.", "from.email"))
    if "template_id" not in mail:
        if not mail.get("subject") and not all(
            isinstance(each, dict) and each.get("subject") for each in letters or [None]
        ):
            wrong.append(("The subject is required.", "subject"))
        content = mail.get("content")
        if not isinstance(content, list) or not all(
            isinstance(c, dict) and c.get("type") and c.get("value") for c in content
        ):
            wrong.append(("Unless a valid template_id is provided, the content parameter is required.", "content"))
    return wrong


def _is_address(told: object) -> bool:
    email = told.get("email") if isinstance(told, dict) else None
    name, at, host = email.rpartition("@") if isinstance(email, str) else ("", "", "")
    return bool(name and at and "." in host)


def _errors(status: int, *wrong: tuple[str, str | None]) -> Response:
    return as_json({"errors": [{"message": text, "field": place, "help": None} for text, place in wrong]}, status)
