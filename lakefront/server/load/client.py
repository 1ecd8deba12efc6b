"""Sends events through the public door ``POST /<stream>`` in batches, and waits where the server asks to (P5, P6)."""

import gzip
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import msgspec
import orjson

from lakefront.server.load import LoadError

Event = dict[str, Any]

BATCH_BYTES: Final = 8 * 1024 * 1024
"""Most bytes of JSON in a batch, whatever its number of events; the door takes 25 MB."""

PATIENCE: Final = 120.0
"""Seconds for which a server that is away or failing is tried again before the load stops."""

FIRST_PATIENCE: Final = 15.0
"""The same before its first answer: it may be starting, but more likely the address is wrong."""

LAST_DELAY: Final = 10.0
"""Longest pause in seconds between two tries; the first is about 0.2, each further one twice as long."""

RETRIED: Final = frozenset({408, 425, 500, 502, 503, 504})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
REASONS_KEPT: Final = 10


class Verdict(msgspec.Struct, rename="camel"):
    """What the door says of one event that it did not plainly accept (X6)."""

    verdict: str
    event_id: str | None = None
    field: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        return f"{self.event_id or 'an event without id'}: {place}{self.reason or self.verdict}"


class Answer(msgspec.Struct, rename="camel"):
    """The door's answer to a batch (P1, X6)."""

    events_received: int
    accepted: int
    duplicates: int
    rejected: int
    verdicts: list[Verdict]


class _Detail(msgspec.Struct, rename="camel"):
    verdict: str
    event_id: str | None = None
    field: str | None = None
    message: str | None = None


class _NoneValid(msgspec.Struct):
    """The refusal of a batch in which no event is valid (P5); other refusals have other details."""

    details: list[_Detail]


@dataclass(slots=True)
class Sent:
    """What became of the events so far."""

    events: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    """Why the first of the rejected ones were."""

    def count(self, answer: Answer) -> None:
        """Add the server's answer to a batch."""
        self.events += answer.events_received
        self.accepted += answer.accepted
        self.duplicates += answer.duplicates
        self.rejected += answer.rejected
        refused = [str(verdict) for verdict in answer.verdicts if verdict.verdict != "duplicate"]
        self.reasons += refused[: REASONS_KEPT - len(self.reasons)]


def read_answer(content: bytes) -> Answer:
    """The answer of a stream's door; raises ``msgspec.MsgspecError`` for another."""
    return msgspec.json.decode(content, type=Answer)


class Sender:
    """One connection to the door at ``url``.

    Every batch is sent until the server has answered it; nothing is lost or doubled by a repetition, since events have
    ids. ``waiting`` is called before each pause with its reason and its length in seconds.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        stream: str,
        role: str = "ingest",
        read: Callable[[bytes], Answer] = read_answer,
        waiting: Callable[[str, float], None] = lambda *_: None,
        timeout: float = 60.0,
    ) -> None:
        """``stream`` is the door's path, ``role`` one that may write there, ``read`` takes an answer of its.

        ``timeout`` in seconds for one answer. Raises ``LoadError`` if ``url`` or ``token`` cannot be ones.
        """
        host = host_of(url)
        self._url = httpx.URL(f"{url.rstrip('/')}/{stream}")
        if not (token.isascii() and token.isprintable() and token):
            raise LoadError("The token holds characters that no token has. Paste it again, without line breaks.")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Content-Encoding": "gzip"}
        # A proxy of this machine's environment would not know the way back to this machine.
        self._http = httpx.Client(headers=headers, timeout=timeout, trust_env=host not in LOOPBACK)
        self._role, self._read = role, read
        self._waiting = waiting
        self._patience = FIRST_PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def send(self, batch: list[Event]) -> Answer:
        """Return the server's answer to the batch; raises ``LoadError`` when trying again would not help."""
        # gzip with mtime 0: the same batch is the same bytes.
        body = gzip.compress(orjson.dumps(batch), compresslevel=5, mtime=0)
        since, tries = time.monotonic(), 0
        while True:
            try:
                response = self._http.post(self._url, content=body)
            except httpx.RequestError as error:
                reason, pause = f"{self._origin} does not answer ({_words(error)})", None
            else:
                self._patience = PATIENCE
                if response.status_code == httpx.codes.OK:
                    return self._answer(response)
                if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                    since, tries = time.monotonic(), 0  # it works, it only wants us slower
                    reason, pause = "the server's quota is used up", _retry_after(response) or 1.0
                elif response.status_code in RETRIED:
                    reason, pause = f"the server answers {_summary(response)}", _retry_after(response)
                elif (report := _none_valid(response, len(batch))) is not None:
                    return report
                else:
                    raise LoadError(self._refusal(response))
            if time.monotonic() - since > self._patience:
                raise LoadError(f"Gave up: {reason}. Run the same command again later: nothing is loaded twice.")
            pause = _backoff(tries) if pause is None else pause
            tries += 1
            self._waiting(reason, pause)
            time.sleep(pause)

    @property
    def _origin(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc.decode('ascii')}"

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            return self._read(response.content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise LoadError(f"{self._origin} answers, but not as a Lakefront server does. Check --url.") from None

    def _refusal(self, response: httpx.Response) -> str:
        said, make = _summary(response), f"Make one with `lakefront token --role {self._role}`."
        match response.status_code:
            case 401:
                return f"The server refuses the token ({said}). {make}"
            case 403:
                return f"The token may not write events ({said}). {make}"
            case 404 | 405:
                return f"{self._url} is not there ({said}). Check --url: it is the server's address without a path."
            case 413:
                return f"A batch is too large for the server ({said}). Send smaller ones with --batch."
            case _:
                return f"The server refuses the events ({said})."


def host_of(url: str) -> str:
    """Return the host of a server's URL; raises ``LoadError`` if it is none."""
    try:
        parts = urlsplit(url)
        host, _, _ = parts.hostname, parts.port, httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise LoadError(f"{url!r} is not a URL ({error}). Give one like --url http://127.0.0.1:8000") from error
    if parts.scheme not in ("http", "https") or not host:
        raise LoadError(f"{url!r} is not the URL of a server. Give one like --url http://127.0.0.1:8000")
    return host


def batches(events: Iterable[Event], size: int) -> Iterator[list[Event]]:
    """Yield the events in lists of at most ``size``, and ``BATCH_BYTES`` of JSON unless one alone has more."""
    batch: list[Event] = []
    held = 0
    for event in events:
        weight = len(orjson.dumps(event)) + 1  # its comma; the brackets are one more
        if batch and (len(batch) >= size or held + weight >= BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(event)
        held += weight
    if batch:
        yield batch


def _none_valid(response: httpx.Response, size: int) -> Answer | None:
    """Return the report on a batch that was refused since none of its ``size`` events is valid; else ``None``."""
    if response.status_code != httpx.codes.BAD_REQUEST:
        return None
    try:
        details = msgspec.json.decode(response.content, type=_NoneValid).details
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    verdicts = [Verdict(detail.verdict, detail.event_id, detail.field, detail.message) for detail in details]
    return Answer(size, 0, 0, size, verdicts) if verdicts else None


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, given as such or as a date; ``None`` without a usable one."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.05), 3600.0) if math.isfinite(seconds) else None


def _backoff(tries: int) -> float:
    """Return a pause in seconds that grows with the tries, spread so that clients do not come back together."""
    longest = min(LAST_DELAY, 0.2 * 2.0 ** min(tries, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _summary(response: httpx.Response) -> str:
    """Return status, message and first details of an error answer (L11), in one line."""
    said = f"{response.status_code} {response.reason_phrase}".strip()
    try:
        error = response.json()
        details = [
            ": ".join(str(part[k]) for k in ("field", "message") if part.get(k)) for part in error["details"][:3]
        ]
        said += f": {error['message']}" + (f" [{'; '.join(details)}]" if any(details) else "")
    except (ValueError, TypeError, KeyError, AttributeError):
        return said
    return said[:800]


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
