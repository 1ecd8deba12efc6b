"""Messages to people, chats, pagers and other people's servers, whoever carries them (C8)."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Response
from lakefront.adapters.calls.failure import Failure, Kind
from lakefront.adapters.dto import Dto, Moment
from lakefront.errors import UpstreamRejected, ValidationError

_MAIL = re.compile(r"[^\s@<>,;:\"()\\\x00-\x1f]{1,64}@[^\s@<>,;:\"()\\\x00-\x1f]{1,189}\.[^\W_]{2,63}")
"""Addresses as people have them; what is beyond that (quoted names, bare hosts) providers refuse, too."""

_TELEPHONE = re.compile(r"\+[1-9][0-9]{6,14}")


class Delivery(StrEnum):
    """How far a message got, as far as the provider tells."""

    ACCEPTED = "ACCEPTED"
    """The provider took it; what became of it is not known, or not yet."""
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class Receipt(Dto):
    """What a provider says of a message."""

    external_id: str | None
    """Its name there, to ask after it; None where the provider gives none."""
    delivery: Delivery
    source: str
    """The provider."""


class Mail(Dto):
    """An e-mail to one person, so that nobody sees who else gets it."""

    to: str
    subject: str
    text: str
    html: str | None = None
    """The same for those who show HTML."""
    reference: str | None = None
    """Ours for it: the provider tells it again with whatever it says of this mail. Nothing personal."""


class TextMessage(Dto):
    """An SMS."""

    to: str
    """A telephone number as ``+12125550123`` (E.164)."""
    text: str


class Severity(StrEnum):
    """How bad it is."""

    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"


class Alert(Dto):
    """Something that somebody has to look after."""

    key: str
    """What makes it the same alert when it is told again, acknowledged or resolved; at most 255 characters."""
    summary: str
    severity: Severity
    origin: str
    """What it is about: a server, an integration."""
    at: Moment | None = None
    details: Mapping[str, str] = Field(default_factory=dict)


class Notification(Dto):
    """An event that another server is told of."""

    id: str
    """The same each time that it is told, so that who gets it twice knows."""
    type: str
    """What happened: ``service_request.closed``."""
    at: Moment
    data: Mapping[str, Any]


def mail_address(text: str, field: str = "to") -> str:
    """``text`` without space around it; raises ``ValidationError``, without a word of it, where it is no address."""
    address = text.strip()
    if _MAIL.fullmatch(address):
        return address
    raise _wrong(field, "Give one e-mail address, as name@host.example.")


def telephone(text: str, field: str = "to") -> str:
    """``text`` without what people write between digits; raises ``ValidationError`` where it is no number."""
    number = re.sub(r"[\s().-]", "", text)
    if _TELEPHONE.fullmatch(number):
        return number
    raise _wrong(field, "Give a telephone number with its country, as +12125550123.")


def written(text: str, field: str, *, most: int) -> str:
    """``text``; raises ``ValidationError`` if there is nothing in it, or more than ``most`` characters."""
    if text.strip() and len(text) <= most:
        return text
    raise _wrong(field, f"Give a text of at most {most} characters.")


class Messenger(Adapter):
    """An adapter that carries messages. All methods raise as ``Calls.call`` does, and ``ValidationError``.

    A message that may have gone through is never sent again blindly (``UpstreamUncertain``), unless the other side
    knows it again by an id of ours.
    """

    tells: ClassVar[frozenset[str]] = frozenset({"code", "status"})

    def _rejected(self, why: str, status: int, *, code: int | None = None) -> UpstreamRejected:
        """The provider does not take this message; ``code`` is its own word for the reason."""
        details = {"provider": self.provider, "status": str(status)} | ({"code": str(code)} if code else {})
        return UpstreamRejected(f"{self.title} {why}.", details=[details])


def denied(why: str, answer: Response) -> Failure:
    """What reading an answer ends in by which the provider refuses our key in a status that is not 401 or 403.

    ``why`` goes on from its name. Of it becomes ``UpstreamDenied``, of which the log tells operators.
    """
    return Failure(Kind.DENIED, why, status=answer.status, body=answer.body)


def _wrong(field: str, message: str) -> ValidationError:
    return ValidationError(message, details=[{"field": field, "message": message}])
