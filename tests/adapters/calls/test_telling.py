"""What operators see of calls (C13): counters, log lines and spans, and nothing that is nobody's business."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lakefront import tracing
from lakefront.adapters.calls import Calls
from lakefront.errors import LakefrontError, RateLimited, UpstreamError
from tests.adapters.outside import Answer, Outside, told
from tests.adapters.probe import QUICK, SECRET, probe
from tests.collector import collecting

OK = told({"value": 7})


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(lambda _: OK) as server:
        yield server


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


def _shown(calls: Calls) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(calls.metrics)
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_counters(outside: Outside, calls: Calls) -> None:
    adapter = probe(outside.url, calls, quota_daily=9)
    assert "quota_remaining" not in "".join(_shown(calls))
    await adapter.ask()
    outside.then.append(Answer(503))
    await adapter.ask()
    outside.then.append(Answer(400))
    await asyncio.gather(adapter.ask(), return_exceptions=True)
    shown = _shown(calls)
    assert shown['adapter_calls_total{provider="probe",status="ok"}'] == 2
    assert shown['adapter_calls_total{provider="probe",status="upstream_rejected"}'] == 1
    assert shown['adapter_retries_total{provider="probe"}'] == 1
    assert shown['adapter_latency_seconds_count{provider="probe"}'] == 4
    assert shown['adapter_latency_seconds_bucket{le="+Inf",provider="probe"}'] == 4
    assert shown['quota_remaining{provider="probe"}'] == 5
    assert shown['adapter_breaker_open_seconds{provider="probe"}'] == 0


async def test_the_longest_open_breaker_and_the_least_quota_show(outside: Outside, calls: Calls) -> None:
    await probe(outside.url, calls, tenant="other", quota_daily=3).ask()
    await probe(outside.url, calls, quota_daily=100).ask()
    outside.rule = lambda _: Answer(500)
    for _ in range(3):
        with pytest.raises(LakefrontError):
            await probe(outside.url, calls).ask()
    shown = _shown(calls)
    assert shown['quota_remaining{provider="probe"}'] == 2
    assert shown['adapter_breaker_open_seconds{provider="probe"}'] > 0


async def test_a_failure_is_one_line_without_what_it_was_about(
    outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    outside.then.append(told({"code": "BadZip", "message": "Jane Doe lives at 123 Broadway"}, 400))
    with pytest.raises(LakefrontError):
        await probe(outside.url, calls, city="nyc").file()
    (record,) = caplog.records
    trace = "b" * 32
    assert record.getMessage() == (
        "integrations: probe (city/nyc) ask: upstream_rejected, status 400, tries 1, "
        f"trace {trace}, answer {{code: BadZip, message: text(30)}}"
    )
    fields = vars(record)
    assert fields["integration.provider"] == "probe"
    assert fields["trace_id"] == trace
    assert fields["error_code"] == "upstream_rejected"
    assert fields["payload_excerpt"] == "{code: BadZip, message: text(30)}"
    for text in ("Jane", "Broadway", "2125551234", SECRET, outside.url):
        assert text not in str(fields)


async def test_who_alone_may_act_is_told_as_an_error(
    outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    outside.then.append(Answer(403))
    with pytest.raises(UpstreamError):
        await probe(outside.url, calls).ask()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_an_open_breaker_and_a_spent_quota_do_not_fill_the_log(
    outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    outside.rule = lambda _: Answer(500)
    adapter = probe(outside.url, calls)
    for _ in range(50):
        with pytest.raises(LakefrontError):
            await adapter.ask()
    spent = probe(outside.url, calls, city="bos", quota_daily=0)
    for _ in range(50):
        with pytest.raises(RateLimited):
            await spent.ask()
    assert len(caplog.records) < 6
    assert "the breaker of probe (city) is open" in caplog.text


async def test_a_call_is_a_span_with_its_peer_and_status(outside: Outside, calls: Calls) -> None:
    with collecting() as collector:
        tracing.start(collector.endpoint)
        try:
            outside.then.append(Answer(503))
            await probe(outside.url, calls, city="nyc").ask()
            outside.then.append(Answer(400))
            with pytest.raises(LakefrontError):
                await probe(outside.url, calls).file()
        finally:
            await asyncio.to_thread(tracing.stop)
        spans = {span.trace_id: span for span in collector.spans}
        assert b"Broadway" not in collector.raw
        assert SECRET.encode() not in collector.raw
    asked, filed = spans["a" * 32], spans["b" * 32]
    assert asked.name == "lakefront.integrations.probe"
    assert asked.attributes["peer.ip"] == "127.0.0.1"
    assert asked.attributes["http.status_code"] == 200
    assert asked.attributes["lakefront.operation"] == "ask"
    assert asked.attributes["lakefront.city"] == "nyc"
    assert filed.attributes["http.status_code"] == 400
    assert filed.attributes["error.type"] == "upstream_rejected"
