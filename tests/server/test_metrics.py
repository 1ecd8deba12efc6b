"""``/metrics``: the pipelines' numbers, gauges of what is open, and the documentation held against it."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lakefront.actor import CITY
from lakefront.db.database import Database
from lakefront.domain.permits import STREAM
from lakefront.domain.services import Services
from lakefront.server.metrics import Counted, Metrics
from lakefront.settings import Settings
from tests.domain.permits.events import event
from tests.server.events import following
from tests.server.serving import serving
from tests.server.wired import INGEST, Wired, wired

DOCS = Path(__file__).parents[2] / "docs" / "monitoring"
MUTATION = "mutation ($e: [PermitEventInput!]!) { ingestPermitEvents(events: $e) { accepted } }"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    settings = Settings(port=0, data=tmp_path, database_url=dsn, seal_interval=0.3, poll_interval=0.1)
    async with wired(settings) as made:
        yield made


async def scrape(served: Wired) -> Samples:
    response = await served.client.get("/metrics", headers=served.bearer("monitor"))
    assert response.status_code == 200
    return parsed(response.text)


async def test_the_pipelines_numbers_are_those_of_the_schema(served: Wired) -> None:
    query = '{ pipelineMetrics(stream: "sf-permit-events") { objects storedBytes eventsPerBatch } }'
    monitor = served.bearer("monitor")
    await served.ingest([event(eventId="1"), event(eventId="2")])
    await served.client.post(
        "/graphql",
        json={"query": MUTATION, "variables": {"e": [event(eventId="3", eventType="STATUS_CHANGE")]}},
        headers=served.bearer("service"),
    )
    async with asyncio.timeout(30):
        while True:
            answer = await served.client.post("/graphql", json={"query": query}, headers=monitor)
            told = answer.json()["data"]["pipelineMetrics"]
            if int(told["objects"]) >= 1:
                break
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # whatever is being sealed
    samples = await scrape(served)
    for outcome, expected in (("accepted", 3), ("duplicate", 0), ("rejected", 0)):
        assert value(samples, "lakefront_ingested_events_total", stream=STREAM, outcome=outcome) == expected
    assert value(samples, "lakefront_ingest_requests_total", stream=STREAM, outcome="ok") == 2, "REST and GraphQL"
    assert value(samples, "lakefront_pipelines_measured") == 1
    answer = await served.client.post("/graphql", json={"query": query}, headers=monitor)
    told = answer.json()["data"]["pipelineMetrics"]
    assert value(samples, "lakefront_stored_bytes", stream=STREAM) == int(told["storedBytes"]) > 0
    assert value(samples, "lakefront_events_per_batch", stream=STREAM) == told["eventsPerBatch"]
    assert value(samples, "lakefront_error_rate", stream=STREAM) == 0
    assert value(samples, "lakefront_lag_events", stream=STREAM, consumer="lake") == 0
    assert value(samples, "lakefront_lag_seconds", stream=STREAM, consumer="permits") == 0
    assert (value(samples, "lakefront_processing_seconds", stream=STREAM) or 0) > 0


async def test_what_reaches_no_route_is_counted_under_one_label(served: Wired) -> None:
    for number in range(2):
        assert (await served.client.get(f"/made-up-{number}")).status_code == 404
    assert (await served.client.delete("/ready")).status_code == 405
    assert (await served.client.get("/ready", headers={"Host": "evil.example"})).status_code == 421
    samples = await scrape(served)
    for status, count in (("404", 2), ("405", 1), ("421", 1)):
        assert value(samples, "lakefront_http_requests_total", route="(none)", status=status) == count
    assert value(samples, "request_rate_total", service="lakefront", endpoint="(none)") == 4


async def test_scraping_does_not_hammer_postgresql(served: Wired) -> None:
    before = await scrape(served)
    await served.ingest([event()])
    again = await asyncio.gather(*(scrape(served) for _ in range(10)))
    assert value(before, "lakefront_error_rate", stream=STREAM) is None, "no request, no rate"
    assert {value(samples, "lakefront_error_rate", stream=STREAM) for samples in again} == {None}, "not read again"
    assert value(again[0], "lakefront_ingested_events_total", stream=STREAM, outcome="accepted") == 1, (
        "counters are live"
    )


async def test_without_postgresql_the_rest_is_told(services: Services) -> None:
    away = Database("postgresql://localhost:1/nothing")
    await away.open()
    metrics = Metrics(replace(services, database=away))
    samples = parsed((await metrics.text()).decode())
    assert value(samples, "lakefront_pipelines_measured") == 0
    assert value(samples, "lakefront_stored_bytes", stream=STREAM) is None
    assert value(samples, "lakefront_ingested_events_total", stream=STREAM, outcome="accepted") == 0
    await away.close()


async def test_sockets_streams_and_rates(served: Wired) -> None:
    watch = f'subscription {{ metricsUpdated(stream: "{STREAM}", every: 60) {{ accepted }} }}'
    headers = {"Accept": "text/event-stream", **served.bearer("monitor")}
    async with following(served.client, watch, headers=headers) as reader:
        assert (await reader.event()).answer["data"] == {"metricsUpdated": {"accepted": "0"}}
        samples = await scrape(served)
        assert value(samples, "lakefront_event_streams") == 1
        assert value(samples, "lakefront_subscriptions") == 1
        assert value(samples, "lakefront_websockets") == 0
        await served.ingest([event()])
        told = (await reader.event(20)).answer["data"]
        assert told == {"metricsUpdated": {"accepted": "1"}}, "a batch was sealed, long before the pace"
    samples = await scrape(served)
    assert value(samples, "request_rate_total", service="lakefront", endpoint="/graphql") == 1
    assert value(samples, "latency_count", service="lakefront", endpoint=INGEST) == 1
    assert (value(samples, "lakefront_pool_open") or 0) >= 1
    bounds = {dict(labels)["le"] for name, labels in samples if name == "latency_bucket"}
    assert bounds == {"0.01", "0.05", "0.1", "0.5", "+Inf"}


async def test_sockets_by_the_code_of_their_close(served: Wired) -> None:
    url = f"ws://127.0.0.1:{served.port}/graphql"
    ours = [Subprotocol("graphql-transport-ws")]
    for code in (1000, 1000, 4999):
        async with connect(url, subprotocols=ours) as left:
            await left.close(code)
    async with connect(url, subprotocols=ours) as left:
        left.transport.abort()
    async with connect(url, subprotocols=ours) as refused:
        await refused.send("{")
        await refused.wait_closed()
    async with connect(url, subprotocols=[Subprotocol("graphql-ws")]) as refused:
        await refused.wait_closed()
    closes, expected = "lakefront_websocket_closes_total", {"1000": 2, "1005": 1, "4400": 1, "4406": 1, "other": 1}
    async with asyncio.timeout(5):
        while True:
            samples = await scrape(served)
            told = {dict(labels)["code"]: number for (name, labels), number in samples.items() if name == closes}
            if told == expected:
                break


async def test_operations_by_tier_and_the_planners_memory(served: Wired) -> None:
    one = "query($id: ID!) { permit(permitId: $id) { permitId } }"
    await asyncio.gather(*(served.ask(one, id=f"P{number}") for number in range(20)))
    await served.ask("{ permits(first: 1) { totalCount } me { subject } }")
    await served.ask("{ me { subject } }")
    for _ in range(2):
        await served.client.post("/graphql", json={"query": "{ nothing }"}, headers=served.bearer("reader"))
    samples = await scrape(served)
    for tier, count in (("1", 20), ("2", 1), ("3", 1)):
        assert value(samples, "lakefront_operations_total", tier=tier) == count
    # What is asked for the first time is looked for twice: on the express way, and on the long one that it then goes.
    for cache, hits, misses, entries in (
        ("documents", 19, 3, 3),
        ("refused", 1, 1, 1),
        ("plans", 19, 3, 3),
        ("statements", 19, 2, 2),
        ("requests", 0, 1, 0),
    ):
        assert (value(samples, "lakefront_plan_cache_hits_total", cache=cache) or 0) >= hits, cache
        assert (value(samples, "lakefront_plan_cache_misses_total", cache=cache) or 0) >= misses, cache
        assert value(samples, "lakefront_plan_cache_evictions_total", cache=cache) == 0
        assert value(samples, "lakefront_plan_cache_entries", cache=cache) == entries, cache
    assert value(samples, "lakefront_row_batch_keys_total") == 20
    assert 1 <= (value(samples, "lakefront_row_batches_total") or 0) <= 20
    assert value(samples, "lakefront_operations_running") == value(samples, "lakefront_operations_waiting") == 0


async def test_a_stream_is_counted_when_its_answer_begins(services: Services) -> None:
    release = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await release.wait()
        await send({"type": "http.response.body", "body": b"y"})

    metrics = Metrics(services)
    async with (
        serving(Counted(endless, metrics, "/stream"), services.settings) as port,
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/x") as response,
    ):
        samples = parsed((await metrics.text()).decode())
        assert value(samples, "lakefront_http_requests_total", route="/stream", status="200") == 1
        release.set()
        assert await response.aread() == b"xy"


async def test_what_clients_make_up_is_no_label(served: Wired) -> None:
    for path in ("/made-up", "/sf-permit-events/1", "/graphql?x=made-up"):
        await served.client.get(path, headers=served.bearer("admin"))
    await served.client.request("MADEUP", "/graphql", headers=served.bearer("admin"))
    samples = await scrape(served)
    assert not [labels for _, labels in samples if "made-up" in str(labels).lower() or "MADEUP" in str(labels)]


async def test_the_page_names_every_metric_and_no_other(served: Wired) -> None:
    await served.ingest([event()])
    await scrape(served)
    response = await served.client.get("/metrics", headers=served.bearer("monitor"))
    families = list(text_string_to_metric_families(response.text))
    shown = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if not family.name.startswith("process_") and not family.name.endswith("_created")
    }
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]*) ?\|", (DOCS / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == shown
    documented = {name: {label for label in labels.split(", ") if label.strip()} for name, labels in rows}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        for sample in family.samples:
            if name in documented and not sample.name.endswith("_created"):
                labels = {label.strip() for label in documented[name]}
                assert set(sample.labels) - {"le"} == labels, sample


def test_the_scrape_configuration_collects_every_ten_seconds() -> None:
    text = (DOCS / "prometheus.yml").read_text()
    configuration = yaml.safe_load(text)
    assert configuration["global"]["scrape_interval"] == "10s"
    [job] = configuration["scrape_configs"]
    assert (job["metrics_path"], job["authorization"]["type"]) == ("/metrics", "Bearer")
    assert job["authorization"]["credentials_file"]
    assert job["static_configs"] == [{"targets": [f"localhost:{Settings().port}"]}]
    assert "--storage.tsdb.retention.time=30d" in text
    for used in re.findall(r"lakefront token --role (\w+) --ttl", text):
        assert used == "monitor"


async def test_what_was_counted_is_written_at_the_end(dsn: str, tmp_path: Path, database: Database) -> None:
    async with wired(Settings(port=0, data=tmp_path, database_url=dsn)) as served:
        await served.ingest([event(eventId=str(number)) for number in range(5)])
    async with database.transaction(CITY) as transaction:
        rows = await transaction.fetch("SELECT requests, accepted FROM lakefront.pipeline_minutes")
    assert [tuple(row) for row in rows] == [(1, 5)]
