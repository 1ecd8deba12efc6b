"""What every adapter keeps, whichever it is: found by itself, asked by its own signatures, answered by anything (C1).

A new provider is in these tests with its file. Its methods are called with made-up arguments of the types that they
declare, in all versions, against a server that answers well-formed nonsense, fails in every way, or is the simulator.
"""

import asyncio
import inspect
import logging
import random
import sys
import typing
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel

from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Calls
from lakefront.adapters.calls.quotas import Rate
from lakefront.adapters.endpoint import Endpoint, checked_base_url
from lakefront.adapters.registry import providers
from lakefront.errors import (
    LakefrontError,
    NotConfigured,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
    ValidationError,
)
from lakefront.simulator import Fault as FaultRule
from lakefront.simulator import Kind, Simulator
from tests.adapters.outside import Answer, Fault, Outside, told
from tests.adapters.probe import QUICK

PERSONAL: Final = "Jane-Canary-2125551234"
"""Stands in every text that a method is given, and in every answer."""

SECRET: Final = "s3cret-canary"

HASTY: Final = replace(QUICK, tries=3, try_timeout=0.4, open_pause=0.05)

FORMS: Final = [(name, version) for name, adapter in providers().items() for version in adapter.api_versions]

PROOFS: Final = frozenset({"authorization", "webhook-signature"})
"""Headers that show that a credential is known, and not how it is written."""

FAILURES: Final[Mapping[str, Answer | Fault]] = {
    "busy": Answer(503, b"{}"),
    "error": Answer(500, f'{{"message": "{PERSONAL}"}}'.encode()),
    "html": Answer(200, f"<html>{PERSONAL}".encode(), kind="text/html"),
    "malformed": Answer(200, f'{{"status": "{PERSONAL}'.encode()),
    "deep": Answer(200, b"[" * 4000),
    "elsewhere": Answer(302, headers={"location": "http://127.0.0.1:1/"}),
    "endless": Answer(200, b" ", length=1 << 50),
    "reset": Fault.RESET,
    "noise": Fault.NOISE,
    "silence": Fault.SILENCE,
}

OUTCOMES: Final = (
    *(UpstreamError, UpstreamDenied, UpstreamRejected, UpstreamUncertain),
    *(RateLimited, Unavailable, NotFound, NotConfigured, ValidationError),
)
"""What a call may end in, besides an answer."""


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as server:
        yield server


@pytest.fixture
async def calls(request: pytest.FixtureRequest) -> AsyncIterator[Calls]:
    silent = "silence" in request.node.callspec.params.values()
    # Each try of a silent one takes its whole time-out.
    opened = Calls(policy=replace(HASTY, tries=1) if silent else HASTY, loopback=True)
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", providers())
def test_its_screen_is_whole(name: str) -> None:
    adapter = providers()[name]
    assert adapter.title
    assert adapter.title == adapter.title.strip()
    assert checked_base_url(adapter.default_base_url, loopback=False) == adapter.default_base_url
    assert adapter.api_versions
    assert adapter.optional_credentials <= set(adapter.credentials)
    assert all(key.isidentifier() and what for key, what in adapter.credentials.items())
    assert adapter.quota_daily is None or adapter.quota_daily > 0
    assert adapter.rate is None or Rate.of(adapter.rate).amount > 0
    assert isinstance(adapter.tells, frozenset)
    assert adapter.__doc__
    assert sys.modules[adapter.__module__].__doc__


@pytest.mark.parametrize(("name", "version"), FORMS)
def test_it_is_made_for_its_own_endpoints_and_shows_no_credential(name: str, version: str) -> None:
    adapter = _adapter(name, version, "https://a.example", Calls())
    assert SECRET not in repr(adapter)
    for wrong in (replace(adapter.endpoint, provider="another"), replace(adapter.endpoint, api_version="0.0")):
        with pytest.raises(ValidationError):
            providers()[name](wrong, Calls())


@pytest.mark.parametrize(("name", "version"), FORMS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_whatever_fails_ends_in_an_error_that_tells_nothing(
    outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture, name: str, version: str, failure: str
) -> None:
    outside.rule = lambda _: FAILURES[failure]
    adapter = _adapter(name, version, outside.url, calls)
    for ask in _methods(adapter, random.Random(failure)):
        before = len(outside.got)
        error = await _error(ask)
        assert isinstance(error, OUTCOMES)
        if len(outside.got) > before:
            assert isinstance(error, UpstreamError | UpstreamUncertain | Unavailable)
            assert adapter.title in error.message
        _tells_nothing(error, caplog)


@pytest.mark.parametrize(("name", "version"), FORMS)
@pytest.mark.parametrize(
    ("status", "error"), [(400, UpstreamRejected), (401, UpstreamDenied), (403, UpstreamDenied), (429, RateLimited)]
)
async def test_refusals_are_told_apart(
    outside: Outside,
    calls: Calls,
    caplog: pytest.LogCaptureFixture,
    name: str,
    version: str,
    status: int,
    error: type[LakefrontError],
) -> None:
    outside.rule = lambda _: told({"message": PERSONAL, "code": PERSONAL}, status, **{"retry-after": "60"})
    adapter = _adapter(name, version, outside.url, calls)
    with pytest.raises(error) as raised:
        await adapter.test()
    assert type(raised.value) is error
    if status == 429:
        assert 0 < (raised.value.retry_after or 0) <= 60
    _tells_nothing(raised.value, caplog)


@pytest.mark.parametrize(("name", "version"), FORMS)
async def test_any_json_is_understood_or_refused(
    outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture, name: str, version: str
) -> None:
    """Answers of its members' names with wrong values, lists for objects, nulls: never an error of ours."""
    source = random.Random(f"{name} {version}")
    words = _words(providers()[name])
    outside.rule = lambda _: told(_nonsense(source, words, 4), source.choice([200, 200, 201, 202, 404]))
    adapter = _adapter(name, version, outside.url, calls)
    for _ in range(40):
        for ask in _methods(adapter, source):
            error = await _error(ask)
            assert error is None or isinstance(error, OUTCOMES), error
            if error is not None:
                _tells_nothing(error, caplog)


@pytest.mark.parametrize(("name", "version"), FORMS)
async def test_credentials_go_to_the_provider_and_nowhere_else(
    outside: Outside, calls: Calls, caplog: pytest.LogCaptureFixture, name: str, version: str
) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = _adapter(name, version, outside.url, calls)
    await _error(adapter.test)
    sent = "".join(f"{got.target}{got.headers}{got.body!r}" for got in outside.got)
    if set(adapter.credentials) - adapter.optional_credentials and not outside.got[0].headers.keys() & PROOFS:
        assert SECRET in sent
    assert outside.got[0].headers["user-agent"].startswith("lakefront/")
    assert "cookie" not in outside.got[0].headers


@pytest.mark.parametrize(("name", "version"), FORMS)
async def test_without_its_credentials_it_asks_nobody(outside: Outside, calls: Calls, name: str, version: str) -> None:
    adapter = _adapter(name, version, outside.url, calls)
    if not set(adapter.credentials) - adapter.optional_credentials:
        pytest.skip("it needs none")
    bare = type(adapter)(replace(adapter.endpoint, credentials={}), calls)
    with pytest.raises(UpstreamDenied, match="upsertIntegration"):
        await bare.test()
    assert outside.got == []


@pytest.mark.parametrize(("name", "version"), FORMS)
async def test_its_quota_holds(outside: Outside, calls: Calls, name: str, version: str) -> None:
    outside.rule = lambda _: Answer(400)
    adapter = _adapter(name, version, outside.url, calls, quota_daily=1)
    await _error(adapter.test)
    for _ in range(4):
        await _error(adapter.test)
    assert len(outside.got) <= 1 + len(adapter.optional_credentials)


@pytest.mark.parametrize(("name", "version"), FORMS)
async def test_it_passes_its_own_test_at_the_simulator(name: str, version: str) -> None:
    async with Simulator(seed=1, rows=50) as city:
        calls = Calls(loopback=True)
        doors = [door for door in city.endpoints() if (door["provider"], door["api_version"]) == (name, version)]
        assert doors, f"the simulator does not play {name} {version}"
        for door in doors:
            adapter = _unhurried(name)(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)
            await adapter.test()
            suspended = dict.fromkeys(door["credentials"], "no-such-key")
            with pytest.raises(UpstreamDenied):
                await type(adapter)(replace(adapter.endpoint, credentials=suspended, version=2), calls).test()
        await calls.close()


@pytest.mark.parametrize(("name", "version"), FORMS)
async def test_it_lives_with_a_system_that_fails_in_every_way(
    calls: Calls, caplog: pytest.LogCaptureFixture, name: str, version: str
) -> None:
    """Three of ten requests are struck; every call ends, in an answer or an error of the catalogue, and is counted."""
    faults = [FaultRule(kind=Kind.ANY, probability=0.3, seconds=0.6)]
    async with Simulator(seed=7, faults=faults, limits={name: ""}, rows=50) as city:
        door = next(door for door in city.endpoints() if (door["provider"], door["api_version"]) == (name, version))
        adapter = _unhurried(name)(Endpoint(tenant="city", quota_daily=None, version=1, **door), calls)
        ends = [end for _ in range(4) for end in await asyncio.gather(*(_error(adapter.test) for _ in range(10)))]
        assert ends.count(None) > 20
        for error in ends:
            if error is not None:
                assert isinstance(error, UpstreamError | Unavailable | RateLimited)
                assert not any(key in f"{error.message}{caplog.text}" for key in door["credentials"].values())
        # A test may take several calls.
        assert calls.metrics.calls.total() >= len(ends)
        assert calls.metrics.calls[name, "ok"] >= ends.count(None)


def _adapter(name: str, version: str, url: str, calls: Calls, *, quota_daily: int | None = None) -> Adapter:
    adapter = _unhurried(name)
    credentials = {key: f"{SECRET}-{key}" for key in adapter.credentials}
    city = "nyc" if adapter.city_bound else ""
    return adapter(Endpoint("city", name, city, url, version, credentials, quota_daily, 1), calls)


def _unhurried(name: str) -> type[Adapter]:
    """The adapter without its rate: some may ask once a second, and rates have tests of their own."""
    adapter = providers()[name]
    return type(adapter.__name__, (adapter,), {"rate": None, "__module__": adapter.__module__})


Ask = Callable[[], typing.Awaitable[Any]]


def _methods(adapter: Adapter, source: random.Random) -> list[Ask]:
    """All its public coroutines, each with made-up arguments of the types that it declares."""
    found: list[Ask] = []
    for name, method in inspect.getmembers(type(adapter), inspect.iscoroutinefunction):
        if name.startswith("_"):
            continue
        types = typing.get_type_hints(method)
        given = {each: _made_up(types[each], source) for each in inspect.signature(method).parameters if each != "self"}
        given |= {"trace_id": "c" * 32} if "trace_id" in given else {}
        found.append(partial(getattr(adapter, name), **given))
    return found


def _made_up(kind: Any, source: random.Random) -> Any:  # noqa: PLR0911 - a kind a line
    """A value of the type: small numbers, and texts with the canary."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _made_up(inner[0], source)
    if origin in {typing.Union, type(int | str)}:
        return _made_up(source.choice(inner), source)
    if origin is typing.Literal:
        return source.choice(inner)
    if origin in {list, Sequence, Collection, tuple, set, frozenset}:
        return [_made_up(inner[0], source) for _ in range(source.randint(1, 3))]
    if origin in {dict, Mapping}:
        return {f"name{index}": _made_up(inner[1], source) for index in range(source.randint(0, 2))}
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return kind(**{name: _made_up(field.annotation, source) for name, field in kind.model_fields.items()})
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return source.choice(list(kind))
    made: dict[Any, Callable[[], Any]] = {
        str: lambda: f"{PERSONAL} {source.randint(0, 9)}",
        int: lambda: source.randint(0, 1),
        float: source.random,
        bool: lambda: source.random() < 0.5,
        bytes: PERSONAL.encode,
        datetime: lambda: datetime(2026, 5, 28, source.randint(0, 23), tzinfo=UTC),
        Any: lambda: PERSONAL,
        type(None): lambda: None,
    }
    if kind in made:
        return made[kind]()
    types = typing.get_type_hints(kind)
    return kind(**{name: _made_up(types[name], source) for name in inspect.signature(kind).parameters})


def _words(adapter: type[Adapter]) -> list[str]:
    """Every word in the adapter's module: among them are the members that it reads."""
    text = Path(inspect.getfile(adapter)).read_text()
    return sorted({word for word in text.replace(".", " ").replace('"', " ").split() if word.isidentifier()})


def _nonsense(source: random.Random, words: list[str], depth: int) -> Any:
    match source.randint(0, 8 if depth else 4):
        case 0:
            return None
        case 1:
            return source.choice([-1, 0, 1, 10**18, 1e300, 0.5])
        case 2:
            return source.choice(["", "OK", PERSONAL, "2020-13-45", "0"])
        case 3 | 4:
            return source.choice([True, False, [], {}])
        case 5 | 6:
            return [_nonsense(source, words, depth - 1) for _ in range(source.randint(0, 3))]
    return {source.choice(words): _nonsense(source, words, depth - 1) for _ in range(source.randint(0, 12))}


async def _error(ask: Ask) -> LakefrontError | None:
    try:
        await ask()
    except LakefrontError as error:
        return error
    return None


def _tells_nothing(error: LakefrontError, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what was sent nor what was answered, nor a credential, in the error or any log line."""
    logged = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for text in (f"{error.message} {error.details} {error.__cause__!r}", logged):
        assert SECRET not in text
        assert PERSONAL not in text
        assert "Jane" not in text
