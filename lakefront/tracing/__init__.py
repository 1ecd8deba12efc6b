"""Traces (ADR 14): one trace id from the request to the subscriber; spans, if a collector is set.

Every request has a trace id, the client's (W3C ``traceparent``) or ours; its events keep it. Spans are recorded between
``start`` and ``stop``; otherwise ``span`` and ``spans`` cost a function call. OpenTelemetry is imported by ``start``.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from lakefront.tracing.recorder import Recorder

RECENT: Final = timedelta(hours=1)
"""Who reads older events anew (a rebuild, a subscription from the beginning) adds no spans to their traces."""

Value = str | int | float | bool
"""What an attribute may be; its name gets the prefix ``lakefront.`` unless it has one (``peer.ip``). Never personal
data, arguments, documents or SQL with values."""

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


class Span(Protocol):
    """A span under way."""

    def note(self, **attributes: Value) -> None:
        """Add what is known by now."""


class _Nothing:
    def note(self, **attributes: Value) -> None:
        """Nobody records it."""


class Parent(NamedTuple):
    """The client's span: hexadecimal ids, and whether the client records its trace."""

    trace_id: str
    span_id: str
    sampled: bool


parent: ContextVar[Parent | None] = ContextVar("lakefront_traceparent", default=None)
"""Of the request that is served; each has a task, and so a context, of its own."""

_ids: Final = Random()  # noqa: S311 - seeded by the system once: to ask it for each id would cost a system call
os.register_at_fork(after_in_child=_ids.seed)
_nothing: Final[AbstractContextManager[Span]] = nullcontext(_Nothing())
_recorder: "Recorder | None" = None


def start(endpoint: str) -> None:
    """Record spans from now on, and send them to the OTLP/HTTP collector at ``endpoint`` (``http://host:4318``)."""
    # Imported here: it takes as long as all of the server, and most do without.
    from lakefront.tracing.recorder import Recorder  # noqa: PLC0415

    global _recorder  # noqa: PLW0603 - a process has one recorder, so that no signature has to carry it
    stop()
    _recorder = Recorder(endpoint)


def stop() -> None:
    """Record no more, and send what is left within a few seconds; blocks meanwhile."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.close()


def new_trace_id() -> str:
    """32 hexadecimal digits, a valid W3C trace id: names one request in answers, logs, events and traces. No secret."""
    return (_ids.getrandbits(128) or 1).to_bytes(16, "big").hex()


def received(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The trace id of the request with ``headers``: its ``traceparent``'s, or a new one. Baggage is not read."""
    sent = [value for name, value in headers if name == b"traceparent"]
    found = _TRACEPARENT.fullmatch(sent[0].strip()) if len(sent) == 1 else None
    if found is None or not _valid(*found.groups()):
        return new_trace_id()
    _, trace_id, span_id, flags, _ = found.groups()
    given = Parent(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & 1))
    if _recorder is not None:
        parent.set(given)
    return given.trace_id


def _valid(version: bytes, trace_id: bytes, span_id: bytes, flags: bytes, rest: bytes | None) -> bool:
    del flags
    return (
        version != b"ff" and (version != b"00" or rest is None) and bool(trace_id.strip(b"0") and span_id.strip(b"0"))
    )


def span(name: str, trace_id: str, **attributes: Value) -> AbstractContextManager[Span]:
    """The block is a span of the trace; an error that leaves it is told by its code. Spans within are its children."""
    return _nothing if _recorder is None else _recorder.span(name, trace_id, attributes)


def spans(name: str, trace_ids: Iterable[str], **attributes: Value) -> AbstractContextManager[Span]:
    """The block does the work of many requests at once: a span in each of their traces, up to a number of them."""
    return _nothing if _recorder is None else _recorder.spans(name, trace_ids, attributes)


def of_recent(events: Iterable[tuple[str, datetime]]) -> Iterator[str]:
    """The trace ids of those ``events`` (trace id, time of arrival) that are recent; lazy, as ``spans`` reads it."""
    since = datetime.now(UTC) - RECENT
    return (trace_id for trace_id, ingested_at in events if ingested_at >= since)


def traceparent(trace_id: str) -> str | None:
    """The header by which another server joins the trace; None where ``trace_id`` is none that W3C knows.

    Its parent is the span that the work is done within; where none is recorded, a made-up one that says so.
    """
    if not _TRACE_ID.fullmatch(trace_id) or not trace_id.strip("0"):
        return None
    around = None if _recorder is None else _recorder.around(trace_id)
    return f"00-{trace_id}-{around or f'{_ids.getrandbits(64) or 1:016x}'}-{'00' if around is None else '01'}"


def recording() -> bool:
    """Whether it is worth preparing something for ``spans``."""
    return _recorder is not None
