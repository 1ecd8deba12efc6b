"""Two servers on one PostgreSQL and one Redis, before a city in which a third of all calls goes wrong."""

import asyncio
import base64
import os
import re
import secrets
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx

from lakefront.db.embedded import EmbeddedPostgres, EmbeddedRedis
from lakefront.simulator import Simulator
from lakefront.simulator.faults import Fault, Kind
from tests.chaos.city.people import Person, Report, reports
from tests.chaos.city.verify import quiet_rows, settled, verify, verify_quiet
from tests.chaos.journal import Door, Journal
from tests.collector import collecting
from tests.process import ServerProcess

PEOPLE = 8

CITIES: Final = {"nyc": "New York", "bos": "Boston", "la": "Los Angeles"}

WAYS_IN: Final = {("nyc311", "v1", "nyc"), ("open311", "v2", "bos"), ("la311", "v1", "la"), ("geoclient", "v2", "nyc")}
"""Provider, version and city of the integrations."""

GEOCODES: Final = 60
"""Calls that the geocoder may get in a day; people ask for more."""

RATES: Final = {"nyc311": 10, "open311": 10, "la311": 5}
"""Calls that a city may get in a second, over both servers."""

WINDOW: Final = 10
"""Seconds over which that is looked at."""

BUNCHED: Final = 2
"""Seconds for which calls may be held up on their way, and then come at once: the machine is busy."""

ENVIRONMENT: Final = {
    "LAKEFRONT_RATE_LIMITS": "off",
    "LAKEFRONT_LOOPBACK_INTEGRATIONS": "true",
    "LAKEFRONT_OUTBOX_LOOK_UP_AFTER": "3",
}

_OPEN: Final = re.compile(r'^adapter_breaker_open_seconds\{provider="(\w+)"\} ([0-9.e+-]+)$', re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """How hard it is to be: reports, kills of a server and of Redis, the part of calls that fail, and the seed."""

    reports: int
    kills: int
    redis_kills: int
    seed: int
    faults: float = 0.3
    pause: float = 1.0
    """Seconds between two reports of one person, about."""
    patience: float = 600.0
    """Seconds until everything must be settled, once the city is well again."""

    def random(self, name: str) -> Random:
        """Choices of their own for each part of the run, the same for the same seed."""
        return Random(f"{self.seed} {name}")


async def bad_days(plan: Plan) -> Journal:
    """Everybody reports, everything fails now and then; then one city is away altogether; then all is well."""
    journal, told = Journal(), reports(plan.reports)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lf-", ignore_cleanup_errors=True)))
        postgres, redis = EmbeddedPostgres(folder / "postgres"), EmbeddedRedis(folder / "redis")
        for part in (postgres, redis):
            await part.start()
            stack.push_async_callback(part.stop)
        collector = stack.enter_context(collecting())
        city = await stack.enter_async_context(Simulator(seed=plan.seed))
        environment = {
            **ENVIRONMENT,
            "DATABASE_URL": postgres.dsn(),
            "REDIS_URL": redis.url,
            "LAKEFRONT_OTLP_ENDPOINT": collector.endpoint,
            "LAKEFRONT_CREDENTIAL_KEYS": f'["{base64.b64encode(secrets.token_bytes(32)).decode()}"]',
        }
        servers = [await stack.enter_async_context(ServerProcess(environment=environment)) for _ in range(2)]
        token = servers[0].token(ttl=86_400)
        doors = [Door.of(server, token) for server in servers]
        await _set_up(doors[0], city)
        city.faults.set(_weather(plan.faults))
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_ask_for_places(doors, plan.random("places"), journal, ending))
            tormenting = group.create_task(_torment(plan, servers, redis, journal))
            await _report(plan, doors, journal, told)
            await tormenting
            ending.set()
            await asking
        city.faults.set(())
        await settled(postgres.dsn(), journal, patience=plan.patience)
        told += await _outage(plan, city, doors, journal)
        await settled(postgres.dsn(), journal, patience=plan.patience)
        await verify(postgres.dsn(), told, city, journal)
        _verify_limits(city, journal)
        texts = {f"the log of server {number}": server.log_text() for number, server in enumerate(servers)}
        texts |= await quiet_rows(postgres.dsn())
        texts["a span"] = collector.raw.decode(errors="replace")
        verify_quiet(texts, journal)
        _check_logs(servers, journal)
    return journal


def _weather(part: float) -> list[Fault]:
    """Every kind of fault, each as often: together they strike that part of all calls."""
    lasting = {Kind.LATENCY: 0.5, Kind.LOST: 11.0, Kind.THROTTLE: 1.0, Kind.SLOW_BODY: 2.0, Kind.CLOCK_SKEW: 600.0}
    kinds = [kind for kind in Kind if kind is not Kind.ANY]
    each = part / len(kinds)
    return [Fault(kind=kind, probability=each, seconds=lasting.get(kind)) for kind in kinds]


async def _set_up(door: Door, city: Simulator) -> None:
    """Cities and integrations, as an admin makes them."""
    async with httpx.AsyncClient(base_url=door.url, headers=door.headers, trust_env=False) as client:
        for slug, name in CITIES.items():
            (await client.put("/cities", json={"slug": slug, "name": name})).raise_for_status()
        for way in city.endpoints():
            if (way["provider"], way["api_version"], way["city"]) in WAYS_IN:
                if way["provider"] == "geoclient":
                    del way["credentials"]["secondary_key"]  # each key has a quota of its own
                    way["quota_daily"] = GEOCODES
                (await client.put("/integrations", json=way)).raise_for_status()


async def _report(plan: Plan, doors: Sequence[Door], journal: Journal, told: Sequence[Report]) -> None:
    """Let people report all of ``told``."""
    queue: asyncio.Queue[Report] = asyncio.Queue()
    for report in told:
        queue.put_nowait(report)
    async with asyncio.TaskGroup() as group:
        for number in range(PEOPLE):
            person = Person(doors, journal, plan.random(f"person {number}"))
            group.create_task(person.run(queue, plan.pause))


async def _torment(plan: Plan, servers: Sequence[ServerProcess], redis: EmbeddedRedis, journal: Journal) -> None:
    random = plan.random("killer")
    victims = ["server"] * plan.kills + ["redis"] * plan.redis_kills
    random.shuffle(victims)
    for victim in victims:
        await asyncio.sleep(random.uniform(1.0, 6.0))
        if victim == "redis":
            assert redis.pid is not None
            os.kill(redis.pid, signal.SIGKILL)
            await redis.wait()
            await asyncio.sleep(random.uniform(0.0, 2.0))
            await redis.start()
        else:
            server = random.choice(servers)
            server.kill()
            await server.wait()
            await asyncio.sleep(random.uniform(0.0, 2.0))
            await server.start()
        journal.counts[f"kills of a {victim}"] += 1


async def _ask_for_places(doors: Sequence[Door], random: Random, journal: Journal, ending: asyncio.Event) -> None:
    """Ask for more addresses than the geocoder's quota lets through."""
    query = 'query Place($address: String!) { geocode(address: $address, city: "nyc") { __typename } }'
    async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
        while not ending.is_set():
            door = random.choice(doors)
            variables = {"address": f"{random.randrange(1, 100_000)} Broadway, New York"}
            try:
                await client.post(
                    f"{door.url}/graphql",
                    json={"query": query, "variables": variables},
                    headers=door.headers,
                    timeout=15,
                )
            except httpx.TransportError:
                journal.counts["places that nobody answered"] += 1
            await asyncio.sleep(random.uniform(0.05, 0.3))


async def _outage(plan: Plan, city: Simulator, doors: Sequence[Door], journal: Journal) -> list[Report]:
    """One city is away: its breakers open, and it is left alone; it comes back, and they close."""
    more = [
        Report(number, "la", "la311", "Graffiti Removal", None) for number in range(plan.reports, plan.reports + 40)
    ]
    city.faults.set([Fault(kind=Kind.ERROR, system="la311")])
    reporting = asyncio.create_task(_report(plan, doors, journal, more))
    if await _until(doors, "la311", opened=True):
        journal.counts["breakers that opened"] += 1
    else:
        journal.violation("a city was away, and no breaker opened")
    await reporting
    tally = city.journal.tallies["la311"]
    before, started = tally.received, time.monotonic()
    await asyncio.sleep(10)
    probes, seconds = tally.received - before, time.monotonic() - started
    if probes > 2 * 20 + seconds:
        journal.violation(f"a city that was away got {probes} calls in {seconds:.0f} s")
    city.faults.set(())
    if await _until(doors, "la311", opened=False):
        journal.counts["breakers that closed"] += 1
    else:
        journal.violation("a city came back, and a breaker stayed open")
    return more


async def _until(doors: Sequence[Door], provider: str, *, opened: bool, patience: float = 120.0) -> bool:
    """Whether a breaker opened (or all closed) in time, as ``/metrics`` tells it."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        seconds = [each.get(provider, 0.0) for each in [await _open_seconds(door) for door in doors]]
        if any(seconds) == opened:
            return True
        await asyncio.sleep(0.5)
    return False


async def _open_seconds(door: Door) -> Mapping[str, float]:
    async with httpx.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"{door.url}/metrics", headers=door.headers)).text
    return {provider: float(seconds) for provider, seconds in _OPEN.findall(told)}


def _verify_limits(city: Simulator, journal: Journal) -> None:
    """Nobody was called more often than agreed."""
    geocoder = city.journal.tallies["geoclient"]
    if geocoder.received > GEOCODES:
        journal.violation(f"the geocoder was called {geocoder.received} times, of {GEOCODES} a day")
    journal.counts["geocodes of the day's quota"] = geocoder.received
    for provider, rate in RATES.items():
        times = [call.at.timestamp() for call in city.journal.calls if call.system == provider]
        journal.counts[f"calls of {provider}"] = len(times)
        most, agreed = _most_within(WINDOW, times), rate * (WINDOW + BUNCHED)
        if most > agreed:
            journal.violation(f"{provider} was called {most} times in {WINDOW} s, where {agreed} are agreed")


def _most_within(window: float, times: Sequence[float]) -> int:
    """How many of ``times``, which are in order, are in one window at most."""
    first = most = 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def _check_logs(servers: Sequence[ServerProcess], journal: Journal) -> None:
    """A traceback in a server's log is a failure that nobody foresaw."""
    for number, server in enumerate(servers):
        text = server.log_text()
        if "Traceback" in text:
            at = text.index("Traceback")
            journal.violation(f"server {number} logged {text[max(0, at - 300) : at + 1500]}")
