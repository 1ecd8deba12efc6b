"""What a client asks and what it gets: the same for every door."""

import json
from dataclasses import dataclass, field
from typing import Any

import orjson

from lakefront.errors import LakefrontError
from lakefront.graphql.plan.errors import ErrorDict, format_error


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What a client asks, with the types checked (``lakefront.server.graphql_http.operation_request``).

    ``sha256`` is what it names its document by, where it does; ``document`` is ``""`` until that is found (L16).
    """

    document: str
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)
    sha256: bytes | None = None


@dataclass(slots=True)
class Answer:
    """What a client gets: ``data`` with the errors of its fields, or only ``errors`` when nothing was executed.

    ``refusal`` is the error that decides the HTTP status, where there is one: of an operation that was not executed, or
    of one that got nothing at all because a part that is needed was away. ``cursor`` is where a resumable subscription
    stands after this answer, whatever it selects; on a ``heartbeat``, which only a door that asked gets, it is all.
    ``raw`` is the data as JSON text where PostgreSQL wrote it: it then stands for ``data``. ``tier`` is how it was made
    (see ``Plan.tier``), where it was.
    """

    data: Any = None
    errors: list[ErrorDict] | None = None
    extensions: dict[str, Any] | None = None
    executed: bool = True
    refusal: LakefrontError | None = None
    cursor: str | None = None
    heartbeat: bool = False
    raw: bytes | None = None
    tier: int | None = None

    def parse(self) -> "Answer":
        """The answer with its ``data`` as values."""
        if self.raw is not None:
            self.data, self.raw = orjson.loads(self.raw), None
        return self

    def payload(self) -> dict[str, Any]:
        """The members of the answer: ``data`` only if executed (request errors have none), the others if any."""
        body: dict[str, Any] = {"errors": self.errors} if self.errors else {}
        if self.executed:
            body["data"] = self.data if self.raw is None else orjson.Fragment(self.raw)
        if self.extensions:
            body["extensions"] = self.extensions
        return body

    def encode(self) -> bytes:
        """The answer as JSON in UTF-8."""
        if self.raw is not None and not self.errors and not self.extensions:
            return b'{"data":' + self.raw + b"}"
        return encode(self.payload())


def encode(value: Any) -> bytes:
    """JSON in UTF-8; numbers past 64 bits, which orjson refuses, go the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def refused(error: LakefrontError, trace_id: str) -> Answer:
    """The answer to an operation that was not executed because of ``error``."""
    return Answer(errors=[format_error(error, trace_id)], executed=False, refusal=error)
