"""The door before every system: it notes the call, keeps the limits, plays the faults, and tells the city's time."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakefront.simulator.city import City
from lakefront.simulator.faults import BEFORE, Drawn, Kind, Strike
from lakefront.simulator.journal import Call
from lakefront.simulator.systems.base import System, seconds, waiting

MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes of a request's body."""

CONNECTION: Final = "lakefront.simulator.connection"
"""The ASGI extension under which a scope has its transport."""

TRICKLE: Final = 0.1
"""Seconds between two pieces of a slow body."""

HTML: Final = b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>"


@dataclass(slots=True)
class Answer:
    """What a system answers, whole."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def without(self, *names: bytes) -> list[tuple[bytes, bytes]]:
        """Its headers but for those."""
        return [(name, value) for name, value in self.headers if name.lower() not in names]


class Front:
    """ASGI: everything below ``/<system>`` goes through here; ``/_control`` and unknown paths pass."""

    def __init__(self, app: ASGIApp, city: City, systems: Mapping[str, System]) -> None:
        self._app = app
        self._city = city
        self._systems = systems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        name, _, path = scope.get("path", "/")[1:].partition("/")
        system = self._systems.get(name)
        if scope["type"] != "http" or system is None:
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        if len(body) > MAX_BODY:
            too_large = _error(413)
            too_large.headers.append((b"connection", b"close"))
            await _Exchange(scope, receive, send, b"", self._city).send(too_large)
            return
        drawn = self._city.faults.draw(name, scope["method"], f"/{path}")
        with self._city.clock.skewed(drawn.skew):
            await self._serve(_Exchange(scope, receive, send, body, self._city), system, f"/{path}", drawn)

    async def _serve(self, exchange: "_Exchange", system: System, path: str, drawn: Drawn) -> None:
        request, city, strike = Request(exchange.scope), self._city, drawn.strike
        call = city.journal.arrived(
            city.clock.true(), system.name, request.method, path, system.caller(request), len(exchange.body)
        )
        call.fault = strike.kind if strike else "latency" if drawn.latency else "clock-skew" if drawn.skew else None
        try:
            await city.pause(drawn.latency)
            if strike is not None and strike.kind in BEFORE:
                await self._instead(exchange, call, strike)
                return
            answer = await self._refused(exchange, system, call)
            if answer is None:
                answer = await exchange.run(self._app)
                call.done, call.refused = answer.status < 400, answer.status == 429
            await self._answer(exchange, call, answer, strike)
        finally:
            city.journal.ended(call)

    async def _refused(self, exchange: "_Exchange", system: System, call: Call) -> Answer | None:
        request = Request(exchange.scope)
        name = system.limit(request)
        exceeded = self._city.limits.take(name, call.caller) if name else None
        if exceeded is None:
            return None
        call.refused = True
        response = waiting(system.refused(request, exceeded), exceeded)
        return Answer(response.status_code, response.raw_headers, bytes(response.body))

    async def _instead(self, exchange: "_Exchange", call: Call, strike: Strike) -> None:
        """Faults before anything was done."""
        if strike.kind is Kind.RESET_BEFORE:
            await exchange.reset()
            return
        answer = _error(strike.status)
        if strike.kind is Kind.THROTTLE:
            answer = _error(429)
            answer.headers.append((b"retry-after", str(seconds(strike.seconds)).encode()))
        call.status = answer.status
        await exchange.send(answer)

    async def _answer(self, exchange: "_Exchange", call: Call, answer: Answer, strike: Strike | None) -> None:
        """The answer, or what a fault makes of it after everything was done."""
        kind = strike.kind if strike else None
        if kind is Kind.RESET_AFTER:
            await exchange.reset()
        elif kind is Kind.RESET_DURING:
            await exchange.break_off(answer)
        elif kind is Kind.LOST and strike is not None:
            await exchange.silent(strike.seconds)
        else:
            if kind is Kind.ERROR_AFTER and strike is not None:
                answer = _error(strike.status)
            elif kind is Kind.MALFORMED:
                answer.body = answer.body[: len(answer.body) // 2] + b'{"'
                answer.status = 200 if answer.status in {204, 304} else answer.status
            elif kind is Kind.CONTENT_TYPE:
                answer = Answer(200, [(b"content-type", b"text/html; charset=utf-8")], HTML)
            call.status = answer.status
            await exchange.send(answer, over=strike.seconds if strike and kind is Kind.SLOW_BODY else 0.0)


class _Exchange:
    """A request whose body is here, and the connection it came by."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body: bytes, city: City) -> None:
        self.scope = scope
        self.body = body
        self._receive = receive
        self._send = send
        self._city = city

    async def run(self, app: ASGIApp) -> Answer:
        """Let the application answer, and return that."""
        answer, given = Answer(500), False

        async def receive() -> Message:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": self.body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message.get("headers", []))
            else:
                answer.body += message.get("body", b"")

        await app(self.scope, receive, send)
        return answer

    async def send(self, answer: Answer, *, over: float = 0.0) -> None:
        """Send the answer; its body piece by piece where it shall take ``over`` seconds."""
        await self._start(answer, len(answer.body))
        pieces = max(1, min(len(answer.body), int(over / TRICKLE)))
        size = -(-len(answer.body) // pieces) or 1
        for place in range(0, len(answer.body) if over else 0, size):
            await self._city.pause(over / pieces)
            await self._send(
                {"type": "http.response.body", "body": answer.body[place : place + size], "more_body": True}
            )
        await self._send({"type": "http.response.body", "body": b"" if over else answer.body})

    async def break_off(self, answer: Answer) -> None:
        """Promise the whole body, send half of it, and reset the connection."""
        await self._start(answer, len(answer.body) + 2)
        half = answer.body[: len(answer.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await self._city.pause(0.05)  # so that the half arrives before the reset overtakes it
        await self.reset()

    async def silent(self, seconds: float) -> None:
        """Say nothing until the client leaves, or so many seconds passed; then reset."""
        gone = asyncio.ensure_future(self._receive())
        waited = asyncio.ensure_future(self._city.pause(seconds))
        await asyncio.wait({gone, waited}, return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, waited):
            task.cancel()
        await asyncio.gather(gone, waited, return_exceptions=True)
        await self.reset()

    async def reset(self) -> None:
        """End the connection by a reset: what was not sent is lost."""
        transport = self.scope["extensions"][CONNECTION]["transport"]
        bare = transport.get_extra_info("socket")
        if bare is not None and not transport.is_closing():
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await self._receive())["type"] != "http.disconnect":  # the server below has then seen it, too
            continue

    async def _start(self, answer: Answer, length: int) -> None:
        date = format_datetime(self._city.clock.now(), usegmt=True)
        headers = answer.without(b"content-length", b"date")
        if answer.status not in {204, 304}:
            headers.append((b"content-length", str(length).encode()))
        headers.append((b"date", date.encode()))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def _body(receive: Receive) -> bytes | None:
    """The body, whole unless it is longer than ``MAX_BODY``; ``None`` where the client left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY or not message.get("more_body", False):
            return bytes(body)


def _error(status: int) -> Answer:
    """An error of the gateway before a system: HTML, as those mostly are."""
    text = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"
    return Answer(status, [(b"content-type", b"text/html")], text.encode())


def transport_of(transport: asyncio.Transport) -> dict[str, Any]:
    """The extension by which a scope tells its connection."""
    return {CONNECTION: {"transport": transport}}
