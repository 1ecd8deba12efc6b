"""SendGrid: ``POST /v3/mail/send``."""

from collections.abc import Iterator, Mapping, Sequence
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

MOST_LETTERS: Final = 1000


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
        """A key, and who mails are from."""
        return [Door("v3", {"key": KEY, "from": "The city <city@example.org>"})]

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


def _wrong(mail: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Messages and the fields that they are about."""
    letters, content = _objects(mail.get("personalizations")), _objects(mail.get("content"))
    if not 1 <= len(letters) <= MOST_LETTERS:
        yield "The personalizations field is required and must have at least one personalization.", "personalizations"
    for place, letter in enumerate(letters):
        recipients = _objects(letter.get("to"))
        if not recipients or not all(map(_is_address, recipients)):
            yield "The to array is required for all personalization objects.", f"personalizations.{place}.to"
    if not _is_address(mail.get("from")):
        yield "The from object must be provided for every email send.", "from.email"
    if mail.get("template_id"):
        return
    if not mail.get("subject") and not all(letter.get("subject") for letter in letters):
        yield "The subject is required.", "subject"
    if not content or not all(each.get("type") and each.get("value") for each in content):
        yield "Unless a valid template_id is provided, the content parameter is required.", "content"


def _objects(told: object) -> list[Mapping[str, Any]]:
    """The objects of a list; none where it is no list, or holds anything else."""
    return told if isinstance(told, list) and all(isinstance(each, dict) for each in told) else []


def _is_address(told: object) -> bool:
    email = told.get("email") if isinstance(told, dict) else None
    name, at, host = email.rpartition("@") if isinstance(email, str) else ("", "", "")
    return bool(name and at and "." in host)


def _errors(status: int, *wrong: tuple[str, str | None]) -> Response:
    return as_json({"errors": [{"message": text, "field": place, "help": None} for text, place in wrong]}, status)
