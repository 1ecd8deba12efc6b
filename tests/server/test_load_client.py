"""The loader's client against a door that behaves as real ones do on bad days: a real server on a real socket."""

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from lakefront.server.load import LoadError, client
from lakefront.server.load.client import Sender, Sent, batches

BATCH = [{"eventId": "a", "permitId": "1"}, {"eventId": "b", "permitId": "2"}]
TAKEN = {"status": "success", "eventsReceived": 2, "accepted": 1, "duplicates": 1, "rejected": 0, "verdicts": []}

Script = list[tuple[int, dict[str, str], Any] | None]
"""What the door answers, one by one: status, headers, JSON; None hangs up. The last one is repeated."""


class Door:
    """A door with a script; it keeps what it was sent."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.requests.append((handler.path, dict(handler.headers), body))
        step = self.script[min(len(self.requests), len(self.script)) - 1]
        if step is None:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        status, headers, content = step
        text = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text)


@contextmanager
def door(*script: tuple[int, dict[str, str], Any] | None) -> Iterator[Door]:
    found = Door(list(script))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            found.answer(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(status: int, message: str, *details: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    return status, {}, {"error_code": "x", "message": message, "details": details, "timestamp": "now"}


@contextmanager
def sender(to: Door, waits: list[tuple[str, float]] | None = None) -> Iterator[Sender]:
    def waiting(reason: str, seconds: float) -> None:
        if waits is not None:
            waits.append((reason, seconds))

    with Sender(f"{to.url}/", "secret", stream="sf-permit-events", waiting=waiting, timeout=5) as made:
        yield made


def test_a_batch_goes_out_as_the_door_wants_it() -> None:
    with door((200, {}, TAKEN)) as to, sender(to) as out:
        answer = out.send(BATCH)
    [(path, headers, body)] = to.requests
    assert path == "/sf-permit-events"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(gzip.decompress(body)) == BATCH
    assert (answer.events_received, answer.accepted, answer.duplicates) == (2, 1, 1)


def test_it_tries_again_with_the_same_bytes_until_the_door_answers() -> None:
    busy = (503, {"Retry-After": "0"}, "")
    with door(None, busy, (500, {}, "oops"), (200, {}, TAKEN)) as to, sender(to) as out:
        assert out.send(BATCH).accepted == 1
    assert len({body for _, _, body in to.requests}) == 1
    assert len(to.requests) == 4


def test_it_waits_as_long_as_retry_after_says() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    waits: list[tuple[str, float]] = []
    slow: Script = [(429, {"Retry-After": value}, {}) for value in ("0.3", soon, "rubbish", "nan")]
    with door(*slow, (200, {}, TAKEN)) as to, sender(to, waits) as out:
        out.send(BATCH)
    assert all(reason == "the server's quota is used up" for reason, _ in waits)
    assert [seconds for _, seconds in waits] == [0.3, pytest.approx(1, abs=1.01), 1.0, 1.0]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (refusal(401, "no"), r"refuses the token \(401 Unauthorized: no\)"),
        (refusal(403, "no"), "may not write events"),
        (refusal(404, "no"), "Check --url"),
        (refusal(413, "no"), "--batch"),
        (refusal(400, "not JSON", {"field": "x", "message": "y"}), r"400 Bad Request: not JSON \[x: y\]"),
        ((400, {}, "plain"), "400 Bad Request"),
        ((302, {"Location": "/"}, ""), "302"),
        ((200, {}, "hello"), "not as a Lakefront server"),
        ((200, {}, {"eventsReceived": "many"}), "not as a Lakefront server"),
    ],
)
def test_it_stops_at_once_where_trying_again_is_useless(script: tuple[int, dict[str, str], Any], message: str) -> None:
    with door(script) as to, sender(to) as out, pytest.raises(LoadError, match=message):
        out.send(BATCH)
    assert len(to.requests) == 1


def test_it_gives_up_on_a_server_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_PATIENCE", 0.5)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with Sender(url, "secret", stream="s") as out, pytest.raises(LoadError, match="nothing is loaded twice"):
            out.send(BATCH)


def test_a_batch_without_a_valid_event_is_counted_and_the_next_one_goes_on() -> None:
    wrong = {"index": 0, "eventId": "a", "verdict": "rejected", "field": "[0].timestamp", "message": "too late"}
    with door(refusal(400, "No event was valid.", wrong), (200, {}, TAKEN)) as to, sender(to) as out:
        sent = Sent()
        sent.count(out.send(BATCH))
        sent.count(out.send(BATCH))
    assert (sent.events, sent.accepted, sent.duplicates, sent.rejected) == (4, 1, 1, 2)
    assert sent.reasons == ["a: [0].timestamp: too late"]


def test_reasons_are_kept_for_the_first_refused_events_only() -> None:
    verdicts = [{"index": i, "eventId": str(i), "verdict": "rejected", "reason": "no"} for i in range(30)]
    verdicts += [{"index": 30, "eventId": "z", "verdict": "duplicate", "reason": "there already"}]
    answer = TAKEN | {"rejected": 30, "verdicts": verdicts}
    with door((200, {}, answer)) as to, sender(to) as out:
        sent = Sent()
        sent.count(out.send(BATCH))
        sent.count(out.send(BATCH))
    assert sent.reasons == [f"{i}: no" for i in range(10)]
    assert sent.rejected == 60


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://[x", "http://x:y"])
def test_what_is_no_url_of_a_server(url: str) -> None:
    with pytest.raises(LoadError, match="URL"):
        Sender(url, "secret", stream="s")


@pytest.mark.parametrize("token", ["", "a\nb", "ä"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(LoadError, match="token"):
        Sender("http://127.0.0.1:1", token, stream="s")


def test_batches_are_bounded_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [{"eventId": f"{number:090}"} for number in range(10)]  # 104 bytes each
    assert [len(batch) for batch in batches(events, 4)] == [4, 4, 2]
    monkeypatch.setattr(client, "BATCH_BYTES", 320)
    assert [len(batch) for batch in batches(events, 4)] == [3, 3, 3, 1]
    monkeypatch.setattr(client, "BATCH_BYTES", 315)  # three of them have 316 with what stands between
    assert [len(batch) for batch in batches(events, 4)] == [2, 2, 2, 2, 2]
    assert list(batches([], 4)) == []
