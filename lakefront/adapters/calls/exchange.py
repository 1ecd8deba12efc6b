"""What is sent to an outside system and what came back, as adapters see it: plain data, already within bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from lakefront.adapters.calls.reading import JSON, parsed

MOST_BYTES: Final = 2 * 1024 * 1024
"""Bytes of an answer, unpacked, unless the request expects more."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Request:
    """One request of an outside system. Path, query, headers and body are never logged; ``name`` is.

    ``path`` is put behind the endpoint's base URL; what is variable in it goes through ``segment``. Of ``json``,
    ``form`` and ``content`` at most one is given. ``kinds`` are the media types that the answer may be of.
    """

    name: str
    """What is asked for, in a word: "geocode". For logs, spans and messages."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: Mapping[str, str | int | float] | Sequence[tuple[str, str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Sequence[tuple[str, str]] | None = None
    content: bytes | None = None
    kinds: tuple[str, ...] = JSON
    most_bytes: int = MOST_BYTES
    expected: frozenset[int] = frozenset()
    """Statuses besides 2xx that ``read`` makes sense of; they are no failures."""
    undone: frozenset[int] = frozenset({429})
    """Statuses by which the provider says that nothing was done, so that a call that changes something is not in doubt
    after them. Every other 4xx says so, too."""
    patience: float = 2.0
    """Seconds that it may wait for its turn, where the provider has a rate or asked us to wait."""
    lane: str = ""
    """Which of several keys it goes by, in a word of ours: each has a quota of its own, and waits by itself."""
    cost: int = 1
    """What it takes of the daily quota: some providers count what is in a batch."""
    waits: bool = True
    """Whether a 429 is waited for; not where there is another key."""

    large: bool = False
    """Whether reading the answer takes so long that a thread does it: from some megabytes on."""

    def __repr__(self) -> str:
        return f"Request({self.name!r}, {self.method})"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose status is 2xx or expected, whose media type is one of the request's, and whose body is whole."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON, nested within bounds; raises ``Unreadable`` where it is none."""
        return parsed(self.body)

    def model(self, form: type[Model]) -> Model:
        """The body as ``form``; raises ``Unreadable``, or pydantic's ``ValidationError``.

        Of both ``Calls`` make an ``UpstreamError``, which tells members and no values.
        """
        return form.model_validate(self.json())

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


def segment(text: str) -> str:
    """Any text as one segment of a path: a slash, ``?`` or ``..`` in it leads nowhere else."""
    return quote(text, safe="").replace(".", "%2E") if not text.strip(".") else quote(text, safe=",")


def encoded(request: Request) -> tuple[bytes | None, str | None]:
    """The body and its media type; raises ``TypeError`` or ``UnicodeEncodeError`` where it cannot be sent."""
    if request.json is not None:
        return orjson.dumps(request.json), "application/json"
    if request.form is not None:
        pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in request.form)
        return pairs.encode("ascii"), "application/x-www-form-urlencoded"
    return request.content, None
