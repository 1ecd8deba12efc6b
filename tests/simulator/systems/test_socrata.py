"""Socrata: SODA 2 and 3, system columns, 202, throttling."""

from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.datasets import INSPECTION_COLUMNS, REQUEST_COLUMNS
from lakefront.simulator.systems.base import SUSPENDED
from lakefront.simulator.systems.socrata import TOKEN

REQUESTS = "/socrata/resource/erm2-nwe9.json"
INSPECTIONS = "/socrata/resource/43nn-pn8j.json"
SODA3 = "/socrata/api/v3/views/erm2-nwe9/query.json"
ADMITTED = {"X-App-Token": TOKEN}


async def rows(http: httpx.AsyncClient, path: str = REQUESTS, **query: str | int) -> list[dict[str, Any]]:
    answer = await http.get(path, params={f"${name}": value for name, value in query.items()}, headers=ADMITTED)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_rows_have_the_published_columns_nulls_left_out(http: httpx.AsyncClient) -> None:
    found = await rows(http, limit=200, order=":id")
    assert {name for row in found for name in row} <= {*REQUEST_COLUMNS}
    assert all(value is not None for row in found for value in row.values())
    assert {"unique_key", "created_date", "agency", "complaint_type", "status", "borough"} <= found[0].keys()
    assert {row["status"] for row in found} >= {"Open", "Closed"}
    assert any("incident_address" not in row for row in found)
    inspected = await rows(http, INSPECTIONS, limit=200, order=":id")
    assert {name for row in inspected for name in row} <= {*INSPECTION_COLUMNS}
    assert await rows(http, "/socrata/resource/fhrw-4uyv.json", limit=1, order=":id")


async def test_pages_in_order_have_every_row_once(http: httpx.AsyncClient) -> None:
    pages = [await rows(http, select="unique_key", order=":id", limit=700, offset=offset) for offset in (0, 700, 1400)]
    assert [len(page) for page in pages] == [700, 700, 600]
    assert len({row["unique_key"] for page in pages for row in page}) == 2000
    assert len(await rows(http)) == 1000, "the default limit"


async def test_without_an_order_pages_lose_rows(http: httpx.AsyncClient) -> None:
    pages = [await rows(http, select="unique_key", limit=500, offset=offset) for offset in (0, 500, 1000, 1500)]
    assert len({row["unique_key"] for page in pages for row in page}) < 2000


async def test_system_columns_are_shown_when_asked(http: httpx.AsyncClient) -> None:
    (row,) = await rows(http, select=":*, *", limit=1, order=":id")
    assert row.keys() >= {":id", ":created_at", ":updated_at", ":version", "unique_key"}
    assert row[":id"].startswith("row-")
    assert row[":updated_at"].endswith("Z")


async def test_what_changed_is_found_by_its_watermark(city: Simulator, http: httpx.AsyncClient) -> None:
    (last,) = await rows(http, select=":updated_at", order=":updated_at desc", limit=1)
    mark = last[":updated_at"]
    since = {"where": f":updated_at > '{mark}'", "order": ":updated_at, :id"}
    assert await rows(http, **since) == []
    city.clock.advance(60)
    told = (await http.post("/_control/socrata", json={"dataset": "erm2-nwe9", "changed": 5, "added": 3})).json()
    assert told["rows"] == {"erm2-nwe9": 2003}
    assert len(await rows(http, **since)) == 8
    (counted,) = await rows(http, select="count(*)")
    assert counted == {"count": "2003"}


async def test_conditions_and_groups(http: httpx.AsyncClient) -> None:
    found = await rows(http, where="borough = 'BRONX' AND complaint_type in ('Rodent')", order="created_date DESC")
    assert found
    assert all((row["borough"], row["complaint_type"]) == ("BRONX", "Rodent") for row in found)
    grouped = await rows(http, select="borough, count(*) as n", group="borough", order="borough")
    assert [row["borough"] for row in grouped][:2] == ["BRONX", "BROOKLYN"]
    assert sum(int(row["n"]) for row in grouped) == 2000
    answer = await http.get(REQUESTS, params={"borough": "BRONX", "$limit": 5}, headers=ADMITTED)
    assert {row["borough"] for row in answer.json()} == {"BRONX"}
    assert len(await rows(http, query="select unique_key where borough = 'QUEENS' limit 3")) == 3


async def test_the_guides_watermark_is_understood(http: httpx.AsyncClient) -> None:
    found = await rows(http, where="created_date > '2026-05-25'", order="created_date")
    assert found
    assert all(row["created_date"] > "2026-05-25" for row in found)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"$where": "nope = 1"}, "query.soql.no-such-column"),
        ({"$where": "borough ="}, "query.compiler.malformed"),
        ({"$query": "frob"}, "query.compiler.malformed"),
        ({"$limit": "many"}, "query.soql.invalid-limit"),
        ({"$frobnicate": "1"}, "query.unknown-parameter"),
        ({"nope": "1"}, "query.soql.no-such-column"),
    ],
)
async def test_what_cannot_be_asked_is_a_400(http: httpx.AsyncClient, query: dict[str, str], code: str) -> None:
    answer = await http.get(REQUESTS, params=query, headers=ADMITTED)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["error"]) == (code, True)


async def test_an_unknown_data_set_is_missing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/socrata/resource/abcd-1234.json")
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset.missing")


async def test_tokens_are_checked_where_they_are_sent(http: httpx.AsyncClient) -> None:
    for token in ("wrong", SUSPENDED):
        answer = await http.get(REQUESTS, params={"$limit": 1}, headers={"X-App-Token": token})
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert (await http.get(REQUESTS, params={"$limit": 1})).status_code == 200
    assert (await http.get(REQUESTS, params={"$limit": 1, "$$app_token": TOKEN})).status_code == 200


async def test_without_a_token_rows_are_throttled(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.get(REQUESTS, params={"$limit": 2000})
    assert (answer.status_code, len(answer.json())) == (200, 2000)
    answer = await http.get(REQUESTS, params={"$limit": 1})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert city.journal.tallies["socrata"].refused == 1
    assert (await http.get(REQUESTS, params={"$limit": 1}, headers=ADMITTED)).status_code == 200


async def test_soda_3_pages_a_query(http: httpx.AsyncClient) -> None:
    sent = {
        "query": "SELECT *",
        "page": {"pageNumber": 5, "pageSize": 10},
        "includeSynthetic": False,
    }
    answer = await http.post(SODA3, json=sent, headers=ADMITTED)
    assert answer.status_code == 200
    assert answer.json() == await rows(http, order=":id", limit=10, offset=40)
    told = (await http.post(SODA3, json={**sent, "includeSynthetic": True}, headers=ADMITTED)).json()
    assert told[0].keys() >= {":id", ":updated_at", "unique_key"}
    chosen = {"query": "SELECT unique_key WHERE borough = 'BRONX' ORDER BY unique_key LIMIT 3"}
    told = (await http.post(SODA3, json=chosen, headers=ADMITTED)).json()
    assert len(told) == 3
    assert told[0].keys() == {"unique_key"}


async def test_soda_3_wants_a_token_and_a_query(http: httpx.AsyncClient) -> None:
    answer = await http.post(SODA3, json={"query": "SELECT *"})
    assert (answer.status_code, answer.json()["code"]) == (403, "authentication_required")
    for sent in ({"query": "frob"}, {"page": {"pageNumber": 0}}, {"page": {"pageSize": "all"}}):
        assert (await http.post(SODA3, json=sent, headers=ADMITTED)).status_code == 400


async def test_a_query_that_takes_time_is_a_202_first(http: httpx.AsyncClient) -> None:
    await http.post("/_control/socrata", json={"pending": 2})
    answer = await http.get(REQUESTS, params={"$limit": 1}, headers=ADMITTED)
    assert answer.status_code == 202
    job = answer.headers["job-id"]
    assert answer.headers["location"] == f"/socrata/api/jobs/{job}"
    asked = [(await http.get(f"/socrata/api/jobs/{job}", headers=ADMITTED)).json()["status"] for _ in range(2)]
    assert asked == ["processing", "completed"]
    assert (await http.get(REQUESTS, params={"$limit": 1}, headers=ADMITTED)).status_code == 200
    assert (await http.get("/socrata/api/jobs/none", headers=ADMITTED)).status_code == 404


async def test_or_a_202_without_a_job(http: httpx.AsyncClient) -> None:
    await http.post("/_control/socrata", json={"pending": 2, "job_id": False})
    answers = [await http.post(SODA3, json={"query": "SELECT *"}, headers=ADMITTED) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 200]
    assert "job-id" not in answers[0].headers
