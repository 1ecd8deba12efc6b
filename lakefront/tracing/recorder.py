"""Spans to a collector, by OpenTelemetry's SDK. Nothing here may slow or break what is traced."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from itertools import islice
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from lakefront import tracing
from lakefront.errors import LakefrontError

MOST_TRACES: Final = 16
"""Traces that work done for many requests at once is told in."""

MOST_LOOKED_AT: Final = 1000
"""Events that are looked at to find them."""

MOST_SPANS: Final = 1000
"""Spans of one second: one takes some 70 µs with its sending, so that a flood costs at most a tenth of a core."""

QUEUE: Final = 8192
"""Spans that wait for the collector; the oldest are dropped first."""

EXPORT_TIMEOUT: Final = 5.0
CLOSE_TIMEOUT: Final = 3.0

_log = logging.getLogger("lakefront.tracing")

_wanted: ContextVar[int | None] = ContextVar("lakefront_trace_id", default=None)

_around: ContextVar[SpanContext | None] = ContextVar("lakefront_span", default=None)
"""The span that this task works within, or did."""


class Recorder:
    """Makes spans and sends them, in a thread of its own, to the collector at ``endpoint``."""

    def __init__(self, endpoint: str) -> None:
        path = "" if endpoint.rstrip("/").endswith("/v1/traces") else "/v1/traces"
        # The SDK tells of every batch that is lost; we tell once that there is trouble, and once that it is over.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = _QuietExporter(OTLPSpanExporter(endpoint.rstrip("/") + path, timeout=EXPORT_TIMEOUT))
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=Resource.create({"service.name": "lakefront", "service.version": version("lakefront")}),
            id_generator=_Ids(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, max_queue_size=QUEUE, schedule_delay_millis=1000)
        )
        self._tracer = self._provider.get_tracer("lakefront")
        self._open: dict[str, list[SpanContext]] = {}
        self._second = 0
        self._left = 0

    def close(self) -> None:
        """Send what is left, if the collector takes it soon."""
        if self._exporter.failing:
            self._exporter.give_up()
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(CLOSE_TIMEOUT)
        self._exporter.give_up()

    def span(
        self, name: str, trace_id: str, attributes: Mapping[str, tracing.Value]
    ) -> AbstractContextManager[tracing.Span]:
        """See ``tracing.span``."""
        return self._record_around(trace_id, name, attributes)

    def spans(
        self, name: str, trace_ids: Iterable[str], attributes: Mapping[str, tracing.Value]
    ) -> AbstractContextManager[tracing.Span]:
        """See ``tracing.spans``."""
        distinct = dict.fromkeys(islice(trace_ids, MOST_LOOKED_AT))
        traces = list(islice(distinct, MOST_TRACES))
        attributes = {**attributes, "traces": len(distinct)}
        granted = traces[: self._budget(len(traces))]
        return _recorded([self._begin(trace_id, self._above(trace_id), name, attributes) for trace_id in granted])

    def around(self, trace_id: str) -> str | None:
        """The id of the span of the trace that the work is done within, in hexadecimal; None where there is none."""
        within = self._within(trace_id)
        return None if within is None else f"{within.span_id:016x}"

    @contextmanager
    def _record_around(
        self, trace_id: str, name: str, attributes: Mapping[str, tracing.Value]
    ) -> Iterator[tracing.Span]:
        """A span that what happens within, also in another task's ``spans``, is a child of."""
        if not self._budget(1):
            yield _UnderWay([])
            return
        above = self._within(trace_id)
        kind = SpanKind.SERVER if above is None else SpanKind.INTERNAL
        begun = self._begin(trace_id, above or _remote(trace_id), name, attributes, kind)
        own = begun.get_span_context()
        # Requests of one trace may overlap: each has its own entry, and takes away no other's.
        self._open.setdefault(trace_id, []).append(own)
        outer = _around.set(own)
        try:
            with _recorded([begun]) as under_way:
                yield under_way
        finally:
            _around.reset(outer)
            self._open[trace_id].remove(own)
            if not self._open[trace_id]:
                del self._open[trace_id]

    def _above(self, trace_id: str) -> SpanContext | None:
        """The span that the work is done within, else one that this process has open for the trace, or the client's."""
        under_way = self._open.get(trace_id)
        return self._within(trace_id) or (under_way[-1] if under_way else _remote(trace_id))

    def _within(self, trace_id: str) -> SpanContext | None:
        """The open span of the trace that this task works within; tasks may outlive the one that they began in."""
        around = _around.get()
        return around if around in self._open.get(trace_id, ()) else None

    def _begin(
        self,
        trace_id: str,
        above: SpanContext | None,
        name: str,
        attributes: Mapping[str, tracing.Value],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        """A child of ``above``, else a root in the trace."""
        context = Context()
        if above is not None:
            context = set_span_in_context(NonRecordingSpan(above), context)
        token = _wanted.set(_number(trace_id))
        try:
            return self._tracer.start_span(name, context, kind=kind, attributes=_named(attributes))
        finally:
            _wanted.reset(token)

    def _budget(self, wanted: int) -> int:
        """How many of ``wanted`` spans this second still has."""
        if (second := int(time.monotonic())) != self._second:
            self._second, self._left = second, MOST_SPANS
        granted = min(wanted, self._left)
        self._left -= granted
        return granted


class _UnderWay:
    """Spans that begin and end together."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = spans

    def note(self, **attributes: tracing.Value) -> None:
        for span in self.spans:
            span.set_attributes(_named(attributes))

    def failed(self, error: BaseException) -> None:
        """Tell the error by its code: messages may quote what a client sent. Who leaves early made no error."""
        code = error.code if isinstance(error, LakefrontError) else type(error).__name__
        ours = error.status >= 500 if isinstance(error, LakefrontError) else isinstance(error, Exception)
        for span in self.spans:
            span.set_attribute("error.type", code)
            if ours:
                span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        for span in self.spans:
            span.end()


@contextmanager
def _recorded(spans: list[Span]) -> Iterator[_UnderWay]:
    under_way = _UnderWay(spans)
    try:
        yield under_way
    except BaseException as error:
        under_way.failed(error)
        raise
    finally:
        under_way.end()


def _named(attributes: Mapping[str, tracing.Value]) -> dict[str, tracing.Value]:
    return {name if "." in name else f"lakefront.{name}": value for name, value in attributes.items()}


def _number(trace_id: str) -> int | None:
    """The id for the SDK; None for a text of another kind, as old events may have."""
    try:
        return int(trace_id, 16) if len(trace_id) == 32 else None
    except ValueError:
        return None


def _remote(trace_id: str) -> SpanContext | None:
    """The client's span, if the request that is served is of this trace."""
    given = tracing.parent.get()
    if given is None or given.trace_id != trace_id:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if given.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(given.trace_id, 16), int(given.span_id, 16), is_remote=True, trace_flags=flags)


class _Ids(RandomIdGenerator):
    """Random ids; a span without a parent begins in the trace that is wanted, which may have others already."""

    def generate_trace_id(self) -> int:
        return _wanted.get() or super().generate_trace_id()


class _QuietExporter(SpanExporter):
    """An exporter that says once that its collector is away, and once that it is back."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._given_up = False
        self.failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._given_up:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self.failing:
            _log.warning("the collector takes no traces; they are dropped until it does")
        if self.failing and not failed:
            _log.warning("the collector takes traces again")
        self.failing = failed
        return result

    def give_up(self) -> None:
        """Stop trying at once."""
        if not self._given_up:
            self._given_up = True
            self._exporter.shutdown()

    def shutdown(self) -> None:
        self.give_up()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
