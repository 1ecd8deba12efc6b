"""One trace from the request to the subscriber; nothing when it is off, no harm when the collector is away."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakefront import tracing
from lakefront.errors import Unavailable, ValidationError
from lakefront.settings import Settings
from tests.collector import Collector, Told, collecting
from tests.domain.permits.events import event
from tests.server.events import following
from tests.server.wired import Wired, wired

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STAGES = {"lakefront.ingest", "lakefront.append", "lakefront.project", "lakefront.seal", "lakefront.deliver"}
SECRET = "Ada Lovelace, 12 Secret Street"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def recorded(collector: Collector) -> Iterator[Collector]:
    tracing.start(collector.endpoint)
    yield collector
    tracing.stop()


def sent(*values: str, name: bytes = b"traceparent") -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *((name, value.encode()) for value in values)]


def test_ids_are_valid_and_differ() -> None:
    ids = {tracing.new_trace_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(tracing.received(sent(f"00-{each}-00f067aa0ba902b7-01")) == each for each in ids)


def test_a_traceparent_is_honoured() -> None:
    assert tracing.received(sent(PARENT)) == TRACE
    assert tracing.received(sent(f"cc-{TRACE}-00f067aa0ba902b7-01-what-will-be")) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        *("", "00", TRACE, PARENT.upper(), PARENT + "-more", "ff" + PARENT[2:], PARENT[:-3], "é" * 55),
        *(f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}g-00f067aa0ba902b7-01"),
    ],
)
def test_another_traceparent_is_none(value: str) -> None:
    ours = tracing.received(sent(value))
    assert ours != TRACE
    assert len(ours) == 32
    assert int(ours, 16)


def test_two_traceparents_or_none_are_none() -> None:
    assert tracing.received(sent(PARENT, PARENT)) != TRACE
    assert tracing.received(sent(PARENT, name=b"baggage")) != TRACE
    assert tracing.received([]) != tracing.received([])


def test_off_it_costs_next_to_nothing() -> None:
    assert not tracing.recording()
    started = time.perf_counter()
    for _ in range(100_000):
        with tracing.span("lakefront.ingest", TRACE, events=1) as span:
            span.note(accepted=1)
    assert (time.perf_counter() - started) / 100_000 < 20e-6  # some 0.5 µs on an idle machine


def test_work_for_many_requests_is_told_in_each_trace_up_to_a_number(recorded: Collector) -> None:
    traces = [tracing.new_trace_id() for _ in range(40)]
    with tracing.spans("lakefront.seal", [*traces, *traces], shard=1):
        pass
    with tracing.spans("lakefront.seal", []):
        pass
    with tracing.spans("lakefront.seal", ["not a trace id"]):
        pass
    tracing.stop()
    assert {span.trace_id for span in recorded.spans} >= set(traces[:16])
    assert len(recorded.spans) == 16 + 1
    assert recorded.spans[0].attributes == {"lakefront.shard": 1, "lakefront.traces": 40}
    assert recorded.paths == {"/v1/traces"}


def test_spans_of_one_trace_are_nested_while_the_request_is_open(recorded: Collector) -> None:
    trace = tracing.new_trace_id()
    with (
        tracing.span("lakefront.graphql", trace),
        tracing.span("lakefront.ingest", trace),
        tracing.spans("lakefront.append", [trace]),
    ):
        pass
    with tracing.spans("lakefront.project", [trace]):
        pass
    tracing.stop()
    spans = {span.name: span for span in recorded.spans}
    assert spans["lakefront.graphql"].parent_id == ""
    assert spans["lakefront.ingest"].parent_id == spans["lakefront.graphql"].span_id
    assert spans["lakefront.append"].parent_id == spans["lakefront.ingest"].span_id
    assert spans["lakefront.project"].parent_id == "", "later work is a root of its own in the same trace"
    assert {span.trace_id for span in recorded.spans} == {trace}


def test_another_server_joins_the_span_under_way(recorded: Collector) -> None:
    trace = tracing.new_trace_id()
    with tracing.span("lakefront.integrations.webhook", trace):
        told = tracing.traceparent(trace)
    after = tracing.traceparent(trace)
    tracing.stop()
    [span] = recorded.spans
    assert told == f"00-{trace}-{span.span_id}-01"
    assert after is not None
    assert after.endswith("-00")
    assert tracing.traceparent("0" * 32) is None


async def test_overlapping_requests_of_one_trace_are_no_children_of_each_other(recorded: Collector) -> None:
    trace = tracing.new_trace_id()
    first, second = asyncio.Event(), asyncio.Event()

    async def one() -> None:
        with tracing.span("lakefront.one", trace):
            first.set()
            await second.wait()

    async def other() -> None:
        await first.wait()
        with tracing.span("lakefront.other", trace):
            second.set()
            await asyncio.sleep(0.05)
            with tracing.spans("lakefront.append", [trace]):
                pass

    await asyncio.gather(one(), other())
    with tracing.spans("lakefront.project", [trace]):
        pass
    tracing.stop()
    spans = {span.name: span for span in recorded.spans}
    assert spans["lakefront.one"].parent_id == spans["lakefront.other"].parent_id == ""
    assert spans["lakefront.append"].parent_id == spans["lakefront.other"].span_id
    assert spans["lakefront.project"].parent_id == "", "nothing of them is left open"


def test_errors_are_told_by_their_code_alone(recorded: Collector) -> None:
    for error in (ValidationError(SECRET), Unavailable(SECRET), KeyError(SECRET), asyncio.CancelledError(SECRET)):
        with pytest.raises(type(error)), tracing.span("lakefront.ingest", tracing.new_trace_id()):
            raise error
    tracing.stop()
    found = [(span.attributes["error.type"], span.failed) for span in recorded.spans]
    assert sorted(found) == [
        *(("CancelledError", False), ("KeyError", True), ("unavailable", True), ("validation_error", False)),
    ]
    assert SECRET.encode() not in recorded.raw


def test_a_flood_is_cut_off(recorded: Collector) -> None:
    started = time.monotonic()
    for _ in range(12_000):
        with tracing.span("lakefront.ingest", tracing.new_trace_id()):
            pass
    seconds = time.monotonic() - started
    tracing.stop()
    assert len(recorded.spans) <= 1000 * (int(seconds) + 2)


def test_a_collector_that_is_away_is_told_once_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        tracing.start(f"http://127.0.0.1:{silent.getsockname()[1]}")
        try:
            with caplog.at_level(logging.INFO):
                for _ in range(3):
                    started = time.monotonic()
                    for _ in range(700):
                        with tracing.span("lakefront.ingest", TRACE):
                            pass
                    assert time.monotonic() - started < 2
                    time.sleep(0.1)
        finally:
            started = time.monotonic()
            tracing.stop()
            assert time.monotonic() - started < 8
    with caplog.at_level(logging.INFO):
        tracing.start("http://127.0.0.1:9")  # nobody there
        for _ in range(3):
            with tracing.span("lakefront.ingest", TRACE):
                pass
            time.sleep(1.2)
        started = time.monotonic()
        tracing.stop()
        assert time.monotonic() - started < 8
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 2


async def test_one_request_is_one_trace_from_the_door_to_the_subscriber(
    dsn: str, tmp_path: Path, collector: Collector
) -> None:
    settings = Settings(
        port=0, data=tmp_path, database_url=dsn, otlp_endpoint=collector.endpoint, seal_interval=0.3, poll_interval=0.1
    )
    async with wired(settings) as served:
        query = "subscription Follow { permitEvents { event { eventId traceId } } }"
        headers = {"Accept": "text/event-stream", **served.bearer("reader")}
        async with following(served.client, query, headers=headers) as reader:
            await _subscribed(served)
            data = {"newStatus": "issued", "reason": SECRET}
            answer = await served.ingest(
                [event(eventId="traced", eventData=data)], traceparent=PARENT, baggage="who=ada"
            )
            assert answer.headers["x-trace-id"] == TRACE
            told = await reader.event()
            assert told.answer["data"]["permitEvents"]["event"] == {"eventId": "traced", "traceId": TRACE}

        def whole(spans: list[Told]) -> bool:
            return {span.name for span in spans if span.trace_id == TRACE} >= STAGES

        await asyncio.to_thread(collector.wait, whole)
        await _mutation(served, collector)
    spans = {span.name: span for span in collector.trace(TRACE)}
    assert spans["lakefront.ingest"].parent_id == "00f067aa0ba902b7", "a child of the client's span"
    assert spans["lakefront.append"].parent_id == spans["lakefront.ingest"].span_id
    assert spans["lakefront.ingest"].attributes["lakefront.accepted"] == 1
    for text in (SECRET, "PRM2024-001234", "who=ada", "SELECT", "permitEvents", "traced"):
        assert text.encode() not in collector.raw, text


async def _subscribed(served: Wired) -> None:
    """Wait until the subscription stands at the log's end."""

    async def one_runs() -> bool:
        response = await served.client.get("/metrics", headers=served.bearer("monitor"))
        return b"lakefront_subscriptions 1.0" in response.content

    async with asyncio.timeout(10):
        while not await one_runs():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)


async def _mutation(served: Wired, collector: Collector) -> None:
    """The same through GraphQL: the operation is a span, too, by its type and name."""
    mutation = """mutation Send($e: [PermitEventInput!]!) { ingestPermitEvents(events: $e) { accepted } }"""
    sent_event = event(eventId="by mutation", eventType="STATUS_CHANGE")
    answer = await served.client.post(
        "/graphql", json={"query": mutation, "variables": {"e": [sent_event]}}, headers=served.bearer("service")
    )
    trace = answer.headers["x-trace-id"]

    def whole(spans: list[Told]) -> bool:
        return {span.name for span in spans if span.trace_id == trace} >= {*STAGES, "lakefront.graphql"} - {
            "lakefront.deliver"
        }

    await asyncio.to_thread(collector.wait, whole)
    spans = {span.name: span for span in collector.trace(trace)}
    assert spans["lakefront.graphql"].attributes == {"lakefront.type": "mutation", "lakefront.operation": "Send"}
    assert spans["lakefront.ingest"].parent_id == spans["lakefront.graphql"].span_id


async def test_off_a_clients_trace_id_is_kept_all_the_same(dsn: str, tmp_path: Path) -> None:
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn)) as served:
        assert not tracing.recording()
        await served.ingest([event()], traceparent=PARENT)
        data = await served.ask("{ permitEvents { nodes { traceId } } }")
        assert data["permitEvents"]["nodes"] == [{"traceId": TRACE}]
