"""A city in ten minutes: the page is followed to the letter, in a copy of the package; Springfield is played."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.docs.blocks import Reader, assert_alike, blocks, environment
from tests.process import ROOT, ServerProcess

PAGE = ROOT / "docs" / "adapters.md"
KEY = "springfield-key"


class Springfield(ThreadingHTTPServer):
    """What the page says of its API, and no more."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Springfield

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert told.keys() == {"type", "text", "address", "ref"}
        made = {
            "id": f"S-{len(self.server.requests) + 1}",
            "state": "new",
            "type": told["type"],
            "department": "Streets",
            "filed": "2025-04-23T10:30:00",
            "ref": told["ref"],
        }
        self.server.requests.append(made)
        self._answer(201, made)

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.query:
            [wanted] = parse_qs(asked.query)["ref"]
            return self._answer(200, [each for each in self.server.requests if each["ref"] == wanted])
        found = [each for each in self.server.requests if each["id"] == asked.path.rpartition("/")[2]]
        return self._answer(200, found[0]) if found else self._answer(404, {})

    def _answer(self, status: int, body: Any) -> None:
        if self.headers["x-key"] != KEY:
            status, body = 401, {}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


@contextmanager
def springfield() -> Iterator[Springfield]:
    server = Springfield()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _checkout(folder: Path) -> Path:
    """A copy of the package that a reader may write into, and the command ``lakefront`` that runs it."""
    static = Path("server/pages/static")
    ignored = shutil.ignore_patterns("__pycache__", static.name)
    shutil.copytree(ROOT / "lakefront", folder / "lakefront", ignore=ignored)
    (folder / "lakefront" / static).symlink_to(ROOT / "lakefront" / static)
    command = folder / "bin" / "lakefront"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m lakefront "$@"\n')
    command.chmod(0o700)
    return folder


@pytest.mark.timeout(240)
async def test_a_city_is_added_as_the_page_says(tmp_path: Path) -> None:
    checkout, [adapter, *rest] = _checkout(tmp_path), [each for each in blocks(PAGE) if each.language != "text"]
    assert adapter.language == "python"
    (checkout / "lakefront/adapters/providers/springfield311.py").write_text(adapter.text)
    settings = {"LAKEFRONT_LOOPBACK_INTEGRATIONS": "true", "PYTHONPATH": str(checkout)}
    with springfield() as city:
        async with ServerProcess(environment=settings, folder=checkout) as server:
            reader = Reader(
                tmp_path,
                environment(
                    **settings,
                    PATH=f"{checkout / 'bin'}:/usr/local/bin:/usr/bin:/bin",
                    LAKEFRONT_DATA=str(server.data),
                    LAKEFRONT_URL=server.url,
                    LAKEFRONT_TOKEN=server.token(),
                    SPRINGFIELD_URL=city.url,
                    SPRINGFIELD_KEY=KEY,
                ),
            )
            printed = ""
            for block in rest:
                if block.language == "json":
                    assert_alike(block.text, printed, block.line)
                else:
                    printed = await reader.run(block)
        assert len(city.requests) == 1
        assert city.requests[0]["ref"]
