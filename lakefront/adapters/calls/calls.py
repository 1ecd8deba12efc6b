"""A call of an outside system, from the breaker to the DTO (C1)."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import httpcore
from pydantic import ValidationError as FormError
from redis.asyncio import Redis

from lakefront import __version__, tracing
from lakefront.adapters.calls.backoff import next_pause
from lakefront.adapters.calls.breaker import Entry, Open, State
from lakefront.adapters.calls.bulkhead import Full
from lakefront.adapters.calls.connections import LOOPBACK, Connections, Watch
from lakefront.adapters.calls.exchange import Request, Response, encoded
from lakefront.adapters.calls.failure import LOST, Failure, Kind, of_status, of_transport
from lakefront.adapters.calls.line import Line, Lines
from lakefront.adapters.calls.metrics import CallMetrics
from lakefront.adapters.calls.policy import Policy
from lakefront.adapters.calls.quotas import Ledger, Left, Meter, ProviderQuotas, Rate, Spent
from lakefront.adapters.calls.reading import Unreadable, bounded, fits, media_type
from lakefront.adapters.calls.redaction import excerpt, members
from lakefront.adapters.calls.tokens import Cipher, Tokens
from lakefront.adapters.endpoint import Key
from lakefront.errors import LakefrontError, RateLimited, Unavailable, UpstreamDenied, ValidationError

if TYPE_CHECKING:
    from lakefront.adapters.base import Adapter

T = TypeVar("T")

_FAILED_BYTES = 16 * 1024
"""Bytes that are read of an answer that tells of a failure: they are for the log's excerpt alone."""

_log = logging.getLogger("lakefront.integrations")


class _Call(NamedTuple):
    """One call under way. ``deadline`` is on the monotonic clock."""

    adapter: "Adapter"
    request: Request
    line: Line
    idempotent: bool
    trace_id: str
    deadline: float
    span: tracing.Span
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None

    @property
    def left(self) -> float:
        """Seconds that it has."""
        return self.deadline - time.monotonic()

    @property
    def key(self) -> Key:
        return self.adapter.endpoint.key

    @property
    def meter(self) -> Meter:
        return Meter(self.key, self.request.lane)


class BreakerState(NamedTuple):
    """How an integration's breaker is, as this process sees it; ``open_seconds`` count from its first opening."""

    key: Key
    state: State
    open_seconds: float
    version: int
    """Of the integration's row."""


class DeniedState(NamedTuple):
    """An integration whose credentials are refused, as this process sees it: so many ``times`` in a row."""

    key: Key
    times: int
    version: int


class Calls:
    """What all calls of a server process share: connections, breakers, bulkheads, quotas, metrics."""

    def __init__(
        self,
        redis: "Redis | None" = None,
        *,
        policy: Policy | None = None,
        loopback: bool = False,
        networks: Iterable[str] = (),
        cipher: Cipher | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """``redis`` None: only this process counts rates; ``ledger`` None: days' quotas, too.

        ``loopback``: this machine itself may be called (simulator). ``networks`` are private ones where outside systems
        may be; elsewhere only public addresses are called. Without a ``cipher`` no token leaves this process.
        """
        self._policy = policy or Policy()
        self._connections = Connections(self._policy, networks=(*networks, *(LOOPBACK if loopback else ())))
        self._lines = Lines(self._policy, loopback=loopback)
        self._quotas = ProviderQuotas(redis, ledger)
        self.tokens = Tokens(redis, cipher)
        self.metrics = CallMetrics(self._least_left, self._longest_open)

    async def call(
        self, adapter: "Adapter", request: Request, read: Callable[[Response], T], *, idempotent: bool, trace_id: str
    ) -> T:
        """What ``read`` makes of the answer to ``request``.

        Raises ``UpstreamError``, ``UpstreamDenied``, ``UpstreamRejected``, ``RateLimited``, ``Unavailable`` while the
        breaker is open or the bulkhead full, ``ValidationError`` for a base URL that may not be called, and where not
        ``idempotent`` ``UpstreamUncertain``. Each names the provider and the next step, and holds neither credentials
        nor what the provider said. What else ``read`` raises of ``lakefront.errors`` is its answer, and no failure.
        """
        line = self._lines.to(adapter.endpoint)
        told = {"operation": request.name} | ({"city": adapter.endpoint.city} if adapter.endpoint.city else {})
        with tracing.span(f"lakefront.integrations.{adapter.provider}", trace_id, **told) as span:
            deadline = time.monotonic() + self._policy.total_timeout
            target, headers, body = _prepared(line, request, tracing.traceparent(trace_id) if adapter.traced else None)
            call = _Call(adapter, request, line, idempotent, trace_id, deadline, span, target, headers, body)
            try:
                result = await self._persist(call, read)
            except LakefrontError as error:
                self.metrics.call(adapter.provider, error.code)
                line.denied += isinstance(error, UpstreamDenied)
                raise
            self.metrics.call(adapter.provider, "ok")
            line.denied = 0
            return result

    def breakers(self) -> Iterator[BreakerState]:
        """All breakers that are not closed."""
        for key, line in self._lines:
            if line.breaker.state is not State.CLOSED:
                yield BreakerState(key, line.breaker.state, line.breaker.open_seconds, line.version)

    def denied(self) -> Iterator[DeniedState]:
        """All integrations whose last call was refused for its credentials (C3: operators are told)."""
        for key, line in self._lines:
            if line.denied:
                yield DeniedState(key, line.denied, line.version)

    def quotas(self) -> Iterator[tuple[Meter, Left]]:
        """What is left of the day's quotas, of all that were used today."""
        return self._quotas.left()

    async def close(self) -> None:
        """Close the connections, and give back what was taken of quotas in advance."""
        await self._connections.close()
        await self._quotas.close()

    async def _persist(self, call: _Call, read: Callable[[Response], T]) -> T:
        """Try, and try again where it may help."""
        last: Failure | None = None
        pause = 0.0
        tries = 0
        call.line.budget.call()
        while True:
            try:
                return await self._try(call, read)
            except (Unavailable, RateLimited):
                if last is None:
                    raise
                # What became of the try before says more than that there is no other.
                raise self._given_up(call, last, tries) from None
            except Failure as failure:
                last = failure
            tries += 1
            pause = next_pause(pause, first=self._policy.first_pause, longest=self._policy.longest_pause)
            wait = max(pause, last.wait or 0.0)
            if last.kind is Kind.THROTTLED:
                call.line.hush(call.request.lane, wait)
            if not self._again(call, last, tries, wait):
                raise self._given_up(call, last, tries)
            self.metrics.retry(call.adapter.provider)
            await asyncio.sleep(wait)

    def _again(self, call: _Call, last: Failure, tries: int, wait: float) -> bool:
        return (
            tries < self._policy.tries
            and last.again(idempotent=call.idempotent)
            and (last.kind is not Kind.THROTTLED or call.request.waits)
            and wait < call.left
            and call.line.budget.take()
        )

    async def _try(self, call: _Call, read: Callable[[Response], T]) -> T:
        """One request, if it may be made."""
        adapter, line, request = call.adapter, call.line, call.request
        if (hushed := line.hushed(request.lane)) > 0:
            if not request.waits or hushed > min(request.patience, call.left):
                told = f"{adapter.title} asks us to wait. Try again after Retry-After."
                raise RateLimited(told, details=[{"provider": adapter.provider}], retry_after=hushed)
            await asyncio.sleep(hushed)
        if (wait := line.breaker.wait) > 0:
            raise _open(adapter, wait)
        try:
            await self._take(call)
            entry: Entry | None = None
            try:
                # The bulkhead after the rate: whoever waits for a slot keeps no room from those whose turn it is.
                async with line.bulkhead:
                    entry = line.breaker.enter()
                    return await self._entered(call, entry, read)
            finally:
                if entry is None:  # turned away, or gone before its turn: nothing was sent
                    self._quotas.give_back(call.meter, request.cost)
        except Open as still:
            raise _open(adapter, still.wait) from None
        except Full:
            told = f"Too many wait for {adapter.title} already. Try again in a while."
            raise Unavailable(told, details=[{"provider": adapter.provider}]) from None
        except Spent as spent:
            what = "daily quota" if spent.day else "rate"
            told = f"The {what} of {adapter.title} is used up. Try again after Retry-After."
            raise RateLimited(told, details=[{"provider": adapter.provider}], retry_after=spent.wait) from None

    async def _take(self, call: _Call) -> None:
        """Wait for its turn; raises ``Spent``."""
        adapter, request = call.adapter, call.request
        await self._quotas.take(
            call.meter,
            daily=adapter.endpoint.quota_daily,
            rate=None if adapter.rate is None else Rate.of(adapter.rate),
            patience=min(request.patience, call.left),
            cost=request.cost,
        )

    async def _entered(self, call: _Call, entry: Entry, read: Callable[[Response], T]) -> T:
        """One request, let through by the breaker; raises ``Failure``, and what ``read`` says."""
        breaker = call.line.breaker
        held: bool | None = None
        try:
            answer = await self._send(call)
            held = True  # also where ``read`` finds an error of the caller's in it
            if call.request.large:
                return await asyncio.to_thread(_read, call.request, read, answer)
            return _read(call.request, read, answer)
        except Failure as failure:
            held = failure.held
            raise
        finally:
            if breaker.leave(entry, held=held):
                _log.warning(
                    "integrations: the breaker of %s is %s, trace %s",
                    *(_told(call.key), breaker.state, call.trace_id),
                    extra={"integration.provider": call.adapter.provider, "trace_id": call.trace_id},
                )

    async def _send(self, call: _Call) -> Response:
        """The answer, whole; raises ``Failure``."""
        timeout = max(0.001, min(self._policy.try_timeout, call.left))
        # Only where it matters whether it was sent is it worth being told of every step.
        watch = None if call.idempotent else Watch()
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(call, timeout, watch)
        except LOST as error:
            raise of_transport(error, sent=watch is None or watch.sent) from None
        finally:
            self.metrics.answered(call.adapter.provider, time.perf_counter() - started)

    async def _exchange(self, call: _Call, seconds: float, watch: Watch | None) -> Response:
        request, origin = call.request, call.line.origin(fresh=not call.idempotent)
        opened = self._connections.stream(origin, call.target, request.method, call.headers, call.body, seconds, watch)
        async with await opened as answer:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            noted: dict[str, tracing.Value] = {"http.status_code": answer.status, "peer.ip": _peer(answer)}
            call.span.note(**noted)
            well = 200 <= answer.status < 300 or answer.status in request.expected
            try:
                body = await bounded(
                    answer.aiter_stream(),
                    most=request.most_bytes if well else _FAILED_BYTES,
                    encoding=headers.get("content-encoding", ""),
                    length=headers.get("content-length"),
                )
            except Unreadable as unreadable:
                if well:
                    raise _misread(str(unreadable), answer.status) from None
                body = b""
        whole = Response(answer.status, headers, body)
        if not well:
            raise of_status(request, whole)
        return whole

    def _given_up(self, call: _Call, failure: Failure, tries: int) -> LakefrontError:
        """The error for the caller, told in the log, too."""
        adapter = call.adapter
        error = failure.error(adapter.title, call.key, idempotent=call.idempotent)
        told = excerpt(failure.body, adapter.tells) if failure.body else ""
        _log.log(
            logging.ERROR if failure.kind is Kind.DENIED else logging.WARNING,
            "integrations: %s %s: %s, status %s, tries %d, trace %s%s",
            _told(call.key),
            call.request.name,
            error.code,
            failure.status or failure.kind.value,
            tries,
            call.trace_id,
            f", answer {told}" if told else "",
            extra={
                "integration.provider": adapter.provider,
                "trace_id": call.trace_id,
                "error_code": error.code,
                "payload_excerpt": told,
            },
        )
        return error

    def _least_left(self) -> Mapping[str, int]:
        least: dict[str, int] = {}
        for meter, left in self._quotas.left():
            least[meter.key.provider] = min(left.remaining, least.get(meter.key.provider, left.remaining))
        return least

    def _longest_open(self) -> Mapping[str, float]:
        longest: dict[str, float] = {key.provider: 0.0 for key, _ in self._lines}
        for state in self.breakers():
            provider = state.key.provider
            longest[provider] = max(state.open_seconds, longest[provider])
        return longest


def _prepared(
    line: Line, request: Request, traceparent: str | None
) -> tuple[bytes, list[tuple[bytes, bytes]], bytes | None]:
    """What is sent, the same in each try: target, headers, body."""
    try:
        body, kind = encoded(request)
        headers = {
            "host": line.host,
            "user-agent": f"lakefront/{__version__}",
            "accept": ", ".join(request.kinds),
            "accept-encoding": "gzip",
            **({"content-type": kind} if kind else {}),
            **({"traceparent": traceparent} if traceparent else {}),
            **{name.lower(): value for name, value in request.headers.items()},
        }
        pairs = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        return line.target(request), pairs, body
    except (TypeError, UnicodeEncodeError):
        # Lone surrogates, or signs beyond ASCII in a header.
        raise ValidationError("What is asked for, or a credential, has signs that cannot be sent.") from None


def _read(request: Request, read: Callable[[Response], T], answer: Response) -> T:
    """What ``read`` makes of the answer; raises ``Failure`` where that is not what it should be."""
    kind = media_type(answer.headers.get("content-type", ""))
    if answer.body and answer.status not in request.expected and not fits(kind, request.kinds):
        raise _misread("its media type is none that was asked for", answer.status)
    try:
        return read(answer)
    except Unreadable as unreadable:
        raise _misread(str(unreadable), answer.status) from None
    except FormError as error:
        raise _misread(f"it has not the form that is known ({members(error)})", answer.status) from None


def _misread(why: str, status: int) -> Failure:
    return Failure(Kind.MISREAD, f"answered what cannot be read: {why}", status=status)


def _open(adapter: "Adapter", wait: float) -> Unavailable:
    told = f"{adapter.title} failed too often and is left alone for a while. Try again after Retry-After."
    return Unavailable(told, retry_after=wait, details=[{"provider": adapter.provider}])


def _peer(answer: httpcore.Response) -> str:
    """The address that answered."""
    stream = answer.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    return str(peer[0]) if peer else ""


def _told(key: Key) -> str:
    return f"{key.provider} ({key.tenant}{'/' + key.city if key.city else ''})"
