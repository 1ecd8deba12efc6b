"""The pages and their files: who gets which, under which headers, and nothing beside what was built."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from lakefront.domain.services import Services
from lakefront.server.pages.bundle import ASSETS_PATH, FOLDER, NOT_BUILT, Assets, Page
from lakefront.server.rest.door import Handler, RestDoor
from tests.server.wired import Wired

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PAGES = ("/graphql", "/docs", "/redoc")


@pytest.fixture
def served(standing: Wired) -> Wired:
    assert (FOLDER / "graphiql.html").is_file(), "The web pages are not built. Run `make install`."
    return standing


async def page(served: Wired, path: str) -> httpx.Response:
    response = await served.client.get(path, headers={"Accept": BROWSER})
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize("path", PAGES)
async def test_a_browser_gets_the_page_under_a_strict_policy(served: Wired, path: str) -> None:
    response = await page(served, path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_names_only_files_that_are_served_and_holds_no_token(served: Wired, path: str) -> None:
    text = (await page(served, path)).text
    assert "eyJ" not in text
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|https?:|//", text), "scripts come as files, from here"
    files = re.findall(r'(?:src|href)="(/console/[^"]+)"', text)
    assert any(name.endswith(".js") for name in files)
    assert any(name.endswith(".css") for name in files)
    for name in files:
        assert (await served.client.get(name)).status_code == 200, name


async def test_files_are_kept_for_ever_and_asked_for_again_only_by_their_tag(served: Wired) -> None:
    kinds = set()
    for file in (FOLDER / "assets").iterdir():
        path = ASSETS_PATH.format(name=file.name)
        response = await served.client.get(path)
        assert response.status_code == 200, path
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.content == file.read_bytes()
        kinds.add(response.headers["content-type"])
        again = await served.client.get(path, headers={"If-None-Match": f'"other", W/{response.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == response.headers["etag"]
    assert kinds >= {"text/javascript; charset=utf-8", "text/css; charset=utf-8", "font/ttf", "image/svg+xml"}


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fgraphiql.html", "%2e%2e", ".built", "licenses.md", "a%00.js"])
async def test_nothing_else_is_served(served: Wired, name: str) -> None:
    response = await served.client.get(ASSETS_PATH.format(name=name))
    assert response.status_code == 404
    assert response.json()["error_code"] == "not_found"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html;q=0.9, */*;q=0.8"])
async def test_clients_that_query_by_get_get_answers(served: Wired, accept: str | None) -> None:
    headers = {**served.bearer("reader"), **({"Accept": accept} if accept else {})}
    response = await served.client.get("/graphql", params={"query": "{ __typename }"}, headers=headers)
    assert response.headers["content-type"].startswith("application/json")
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_a_post_is_never_a_visit(served: Wired) -> None:
    headers = {**served.bearer("reader"), "Accept": BROWSER}
    response = await served.client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_a_head_of_a_page_is_its_head(served: Wired) -> None:
    for path in PAGES:
        response = await served.client.head(path, headers={"Accept": BROWSER})
        assert (response.status_code, response.content) == (200, b"")


async def test_pages_that_are_not_built_say_what_to_do(served: Wired, tmp_path: Path) -> None:
    doors = served.parts.doors
    assert isinstance(doors.services, Services)

    def route(path: str, handler: Handler) -> Route:
        return Route(path, RestDoor(doors, path, handler))

    app = Starlette(routes=[route("/page", Page("graphiql", tmp_path)), route(ASSETS_PATH, Assets(tmp_path))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        response = await client.get("/page")
        assert (response.status_code, response.text) == (503, NOT_BUILT)
        assert "make install" in response.text
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await client.get("/console/assets/graphiql.js")).status_code == 404
