"""Socrata: every change of a data set is read, whatever happens meanwhile, in both forms, by the real paths."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.opendata import PAGE, Page, Place
from lakefront.adapters.providers.socrata import Socrata
from lakefront.errors import UpstreamDenied, UpstreamError, UpstreamRejected, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.systems import socrata as simulated
from tests.adapters.outside import Answer, Got, Outside, told
from tests.adapters.probe import QUICK

REQUESTS = "erm2-nwe9"
START = Place()
ROW = {":id": "row-1", ":version": "rv-1", ":updated_at": "2026-05-28T14:00:00.123Z", "unique_key": "60000001"}
WATERMARK = datetime(2026, 5, 28, 14, 0, 0, 123_000, tzinfo=UTC)

Reach = Callable[[str], Socrata]


@pytest.fixture
async def city() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, start=datetime(2026, 5, 28, 14, tzinfo=UTC), rows=60) as simulator:
        yield simulator


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(lambda _: told([])) as server:
        yield server


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(policy=QUICK, loopback=True)
    yield opened
    await opened.close()


def adapter(url: str, version: str, calls: Calls, token: str = simulated.TOKEN) -> Socrata:
    credentials = {"app_token": token} if token else {}
    return Socrata(Endpoint("city", "socrata", "nyc", url, version, credentials, None, 1), calls)


def at(city: Simulator, version: str, calls: Calls, token: str = simulated.TOKEN) -> Socrata:
    return adapter(f"{city.url}/socrata", version, calls, token)


async def read(from_: Socrata, place: Place, size: int = 7) -> list[Page]:
    return [page async for page in from_.pages(REQUESTS, place, size=size)]


def keys(pages: list[Page]) -> list[str]:
    return [row.columns["unique_key"] for page in pages for row in page.rows]


def system(city: Simulator) -> simulated.Socrata:
    found = city.systems["socrata"]
    assert isinstance(found, simulated.Socrata)
    return found


FORMS = pytest.mark.parametrize(
    ("version", "token"), [("soda3", simulated.TOKEN), ("soda2", simulated.TOKEN), ("soda3", "")]
)


@FORMS
async def test_all_rows_once_then_what_changed_alone(city: Simulator, calls: Calls, version: str, token: str) -> None:
    reader = at(city, version, calls, token)
    pages = await read(reader, START)
    assert len({*keys(pages)}) == len(keys(pages)) == 60 == await reader.count(REQUESTS, START)
    assert all(len(page.rows) <= 7 for page in pages)
    assert not any(name.startswith(":") for page in pages for row in page.rows for name in row.columns)
    watermark = pages[-1].next
    assert keys(await read(reader, watermark)) == []
    city.clock.advance(60)
    system(city).change(REQUESTS, changed=4, added=3)
    assert await reader.count(REQUESTS, watermark) == 7
    changed = await read(reader, watermark)
    assert len({*keys(changed)}) == 7
    assert keys(await read(reader, changed[-1].next)) == []


async def test_what_changes_behind_the_reader_is_in_the_next_round(city: Simulator, calls: Calls) -> None:
    """Every row changes between two pages: some that were read already, and later some that are met still."""
    reader = at(city, "soda3", calls)
    read_rows: dict[str, Any] = {}
    place = START
    for _ in range(3):
        async for page in reader.pages(REQUESTS, place, size=10):
            read_rows |= {row.columns["unique_key"]: row.updated_at for row in page.rows}
            place = page.next
            if len(read_rows) <= 30:
                city.clock.advance(1)
                system(city).change(REQUESTS, changed=20, added=1)
    now = {
        page_row.columns["unique_key"]: page_row.updated_at
        for page in await read(reader, START)
        for page_row in page.rows
    }
    assert read_rows == now


async def test_a_round_that_was_killed_goes_on_where_it_stood(city: Simulator, calls: Calls) -> None:
    reader = at(city, "soda3", calls)
    first = await reader.page(REQUESTS, START, size=25)
    stored = Place.model_validate_json(first.next.model_dump_json())
    assert stored == first.next
    assert sorted(keys([first, *await read(reader, stored)])) == sorted(keys(await read(reader, START)))


@pytest.mark.parametrize(
    ("version", "token", "targets"),
    [
        (
            "soda2",
            "",
            [
                {"$select": ":id, :updated_at", "$order": ":updated_at DESC", "$limit": "1"},
                {
                    "$select": ":*, *",
                    "$where": ":updated_at > '2026-05-28T14:00:00.123Z' AND :id > 'row-''x'",
                    "$order": ":id",
                    "$limit": "10000",
                },
            ],
        ),
    ],
)
async def test_soda_2_as_it_is_documented(
    outside: Outside, calls: Calls, version: str, token: str, targets: list[dict[str, str]]
) -> None:
    later = ROW | {":updated_at": "2026-05-29T00:00:00.000Z"}
    outside.rule = lambda _: told([later])
    reader = adapter(outside.url, version, calls, token)
    place = Place(since=WATERMARK)
    await reader.page(REQUESTS, place)
    await reader.page(REQUESTS, Place(since=WATERMARK, after="row-'x", until=datetime(2026, 5, 29, tzinfo=UTC)))
    newest, _, behind = map(query, outside.got)
    assert [newest, behind] == targets
    assert {urlsplit(got.target).path for got in outside.got} == {"/resource/erm2-nwe9.json"}
    assert not any("x-app-token" in got.headers for got in outside.got)


async def test_soda_3_as_it_is_documented(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda _: told([ROW])
    page = await adapter(outside.url, "soda3", calls, "t0ken").page(REQUESTS, START, size=5)
    assert [(got.method, got.target, got.headers["x-app-token"]) for got in outside.got] == [
        ("POST", "/api/v3/views/erm2-nwe9/query.json", "t0ken")
    ] * 2
    assert orjson.loads(outside.got[1].body) == {
        "query": "SELECT :*, * ORDER BY :id",
        "page": {"pageNumber": 1, "pageSize": 5},
        "includeSynthetic": False,
    }
    [row] = page.rows
    assert (row.id, row.updated_at, row.columns) == ("row-1", WATERMARK, {"unique_key": "60000001"})
    assert (page.last, page.next) == (True, Place(since=WATERMARK))


@pytest.mark.parametrize("names_job", [True, False])
async def test_an_answer_under_way_is_waited_for(outside: Outside, calls: Calls, names_job: bool) -> None:
    headers = {"job-id": "a/job"} if names_job else {}
    under_way = told({"status": "processing"}, 202, **headers)
    outside.then.extend([under_way, under_way, told({"status": "completed"}), told([{"count": "12"}])])
    if not names_job:
        outside.then[2] = under_way
    assert await adapter(outside.url, "soda2", calls).count(REQUESTS, START) == 12
    paths = [urlsplit(got.target).path for got in outside.got]
    job = "/api/jobs/a%2Fjob" if names_job else "/resource/erm2-nwe9.json"
    assert paths == ["/resource/erm2-nwe9.json", job, job, "/resource/erm2-nwe9.json"]


async def test_a_job_that_is_gone_is_no_reason_to_give_up(outside: Outside, calls: Calls) -> None:
    gone = told({"code": "job.missing", "error": True}, 404)
    outside.then.extend([told({}, 202, **{"job-id": "1"}), gone, told([{"count": "3"}])])
    assert await adapter(outside.url, "soda2", calls).count(REQUESTS, START) == 3


async def test_nobody_waits_longer_than_the_answer_may_take(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda _: told({}, 202, **{"retry-after": "86400"})
    with pytest.raises(UpstreamError, match="Try again in a while"):
        await adapter(outside.url, "soda2", calls).count(REQUESTS, START)
    assert len(outside.got) == 1


@pytest.mark.parametrize(
    "answer",
    [
        [{"unique_key": "1"}],
        [ROW | {":updated_at": "soon"}],
        [ROW | {":id": ""}],
        [ROW] * 3,
        {"rows": []},
        [[1]],
    ],
)
async def test_what_are_no_rows_is_an_upstream_error(outside: Outside, calls: Calls, answer: Any) -> None:
    outside.rule = lambda got: told([ROW] if "DESC" in got.target else answer)
    with pytest.raises(UpstreamError):
        await adapter(outside.url, "soda2", calls).page(REQUESTS, START, size=2)


async def test_more_rows_than_a_page_are_not_even_parsed(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda got: told([ROW] if "DESC" in got.target else [ROW | {":updated_at": "soon"}] * (PAGE + 1))
    with pytest.raises(UpstreamError, match="more rows than a page"):
        await adapter(outside.url, "soda2", calls).page(REQUESTS, START, size=2)


async def test_a_page_that_does_not_get_on_ends_the_reading(outside: Outside, calls: Calls) -> None:
    outside.rule = lambda _: told([ROW])
    with pytest.raises(UpstreamError, match="base URL"):
        await read(adapter(outside.url, "soda2", calls), START, size=1)


@pytest.mark.parametrize("dataset", ["", "erm2", "ERM2-NWE9", "erm2-nwe9/..", "erm2-nwe9\n"])
async def test_a_data_set_is_named_by_its_id(outside: Outside, calls: Calls, dataset: str) -> None:
    with pytest.raises(ValidationError, match="four-by-four"):
        await adapter(outside.url, "soda2", calls).page(dataset, START)
    for size in (0, PAGE + 1):
        with pytest.raises(ValidationError, match="10000"):
            await adapter(outside.url, "soda2", calls).page(REQUESTS, START, size=size)
    assert outside.got == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (told({"code": "dataset.missing", "error": True}, 404), None),
        (told({"code": "route.gone", "error": True}, 404), UpstreamError),
        (Answer(404, b"<html>", kind="text/html"), UpstreamError),
        (told({"code": "permission_denied"}, 403), UpstreamDenied),
        (told({"code": "query.compiler.malformed"}, 400), UpstreamRejected),
    ],
)
async def test_another_citys_portal_passes_the_test_and_another_server_does_not(
    outside: Outside, calls: Calls, answer: Answer, error: type[Exception] | None
) -> None:
    outside.rule = lambda _: answer
    test: Awaitable[None] = adapter(outside.url, "soda2", calls).test()
    if error is None:
        await test
    else:
        with pytest.raises(error):
            await test


def query(got: Got) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(got.target).query))
