"""Places of addresses and addresses of places, from whichever geocoder a city has (C4).

The city's own geocoder is asked first, one of no city (Mapbox) where that fails. Answers are kept for a day under the
normalised address, that there is no such place for five minutes.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

from pydantic import TypeAdapter

from lakefront.actor import PLACES_READ, Actor
from lakefront.adapters.dto import Point
from lakefront.adapters.endpoint import Key
from lakefront.adapters.geocoding import Geocoder, Place, ReverseGeocoder, in_one_line
from lakefront.domain import cities, integrations
from lakefront.domain.answers import FAILURES, Answers, Ask, Known, Pending, Shared, Told, key_of
from lakefront.domain.cities import invalid
from lakefront.domain.integrations.trial import Calling
from lakefront.errors import LakefrontError, NotConfigured, UpstreamRejected

MOST: Final = 200
"""Characters of an address."""

DAY: Final = 86_400.0
NOWHERE: Final = 300.0
"""Seconds for which it is known that there is no such place."""
FALLEN_BACK: Final = 3600.0
"""The same for the answer of another than the city's own geocoder, which is to be asked again before long."""

_MATCHES: Final = TypeAdapter(list[Place])

G = TypeVar("G", bound=Geocoder)


class Parts(cities.Parts, Calling, Protocol):
    """What this takes of ``Services``."""

    @property
    def answers(self) -> Answers:
        """What is known already."""


@dataclass(frozen=True, slots=True)
class Match:
    """A place that was found, and when the geocoder said so."""

    place: Place
    as_of: datetime
    stale: bool


class Finding:
    """The matches of one address, known or under way."""

    __slots__ = ("_pending",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    async def get(self) -> list[Match]:
        """The best match, none where there is no such place. Raises as ``geocode`` says."""
        return _matches(await self._pending.get())


def one_line(address: str) -> str:
    """The address as it is asked for; raises ``ValidationError`` for what is none."""
    return in_one_line(address, most=MOST)


def normalised(line: str) -> str:
    """What two ways to write an address have in common: ``123  Main St.,Bronx`` and ``123 main st, bronx``."""
    text = unicodedata.normalize("NFKC", line).casefold().replace(",", " , ")
    return " ".join(filter(None, (word.rstrip(".") for word in text.split()))).strip(" ,")


async def geocode(
    parts: Parts, actor: Actor, lines: Sequence[str], city: str | None = None, *, trace_id: str = ""
) -> list[Finding]:
    """The places of addresses (each ``one_line``) of a city, as they come: one that is slow keeps no other waiting.

    Without a city it is the one that has a geocoder of its own, if there is just one such; else addresses are looked
    for everywhere. Needs the scope places:read. Raises ``Forbidden``, ``Unavailable``; and each finding what a call of
    an adapter raises, ``NotConfigured`` without any geocoder, ``ValidationError`` for a city that is not there.
    """
    actor.require(PLACES_READ)
    kinds = [adapter for adapter in integrations.available() if issubclass(adapter, Geocoder)]
    chain, city = await _chain(parts, actor.tenant, kinds, city)
    search = _Search(parts, actor, chain, city, lines, trace_id)
    told = [(one.endpoint.provider, one.endpoint.version) for one in chain]
    keys = [key_of(actor.tenant, "geocode", (told, city, normalised(line)), form=Place.model_fields) for line in lines]
    return [Finding(pending) for pending in await parts.answers.many(keys, search.asks)]


async def reverse(
    parts: Parts, actor: Actor, point: Point, city: str | None = None, *, trace_id: str = ""
) -> list[Match]:
    """The address nearest to a point, to a metre; none where nobody has an address. Raises as ``geocode`` does."""
    actor.require(PLACES_READ)
    point = Point(latitude=round(point.latitude, 5), longitude=round(point.longitude, 5))
    kinds = [adapter for adapter in integrations.available() if issubclass(adapter, ReverseGeocoder)]
    chain, city = await _chain(parts, actor.tenant, kinds, city)
    told = [(one.endpoint.provider, one.endpoint.version) for one in chain]

    async def ask() -> Told:
        return await _first_of(chain, lambda geocoder: geocoder.reverse(point, trace_id=trace_id), city)

    question = (told, city, point.latitude, point.longitude)
    key = key_of(actor.tenant, "reverse", question, form=Place.model_fields)
    return _matches(await parts.answers.one(key, ask))


class _Search:
    """Addresses of a city that are asked for together."""

    def __init__(
        self, parts: Parts, actor: Actor, chain: Sequence[Geocoder], city: str, lines: Sequence[str], trace_id: str
    ) -> None:
        self._parts = parts
        self._actor = actor
        self._chain = chain
        self._city = city
        self._lines = lines
        self._trace_id = trace_id
        self._name = Shared(self._name_of_city)

    def asks(self, positions: list[int]) -> list[Ask]:
        """How to ask for the addresses at ``positions``: together, where the first geocoder takes many at once."""
        batch: Shared[dict[int, Place | None]] | None = None
        first = self._chain[0] if self._chain else None
        if isinstance(first, ReverseGeocoder) and 1 < len(positions) <= first.most_at_once:
            batch = Shared(lambda: self._batch(first, positions))

        def ask(at: int) -> Ask:
            async def place(geocoder: Geocoder) -> Place | None:
                if batch is not None and geocoder is first:
                    try:
                        return (await batch.get())[at]
                    except UpstreamRejected:
                        pass  # One of them is wrong, and nobody says which: each by itself, then.
                return await geocoder.geocode(await self._line(geocoder, at), trace_id=self._trace_id)

            return lambda: _first_of(self._chain, place, self._city)

        return [ask(at) for at in positions]

    async def _batch(self, geocoder: ReverseGeocoder, positions: Sequence[int]) -> dict[int, Place | None]:
        lines = [await self._line(geocoder, at) for at in positions]
        return dict(zip(positions, await geocoder.batch(lines, trace_id=self._trace_id), strict=True))

    async def _line(self, geocoder: Geocoder, at: int) -> str:
        """The address for a geocoder: one of no city has to be told which city is meant."""
        line = self._lines[at]
        if geocoder.city_bound or not self._city:
            return line
        name = await self._name.get()
        return line if name.casefold() in line.casefold() else f"{line}, {name}"

    async def _name_of_city(self) -> str:
        for city in await cities.cities(self._parts, self._actor):
            if city.slug == self._city:
                return city.name
        raise invalid("city", f"There is no city '{self._city[:40]}' here: cities lists those that there are.")


async def _chain(parts: Parts, tenant: str, kinds: Sequence[type[G]], city: str | None) -> tuple[list[G], str]:
    """The geocoders of a city in their order, those of no city last, and the city; '' where none is meant."""
    own = {adapter.provider: adapter for adapter in kinds if adapter.city_bound}
    endpoints = await parts.endpoints.all(tenant)
    if city is None:
        served = {key.city for key in endpoints if key.provider in own}
        city = served.pop() if len(served) == 1 else ""
    elif not cities.is_slug(city):
        raise invalid("city", "A city is named by its slug: cities lists those that there are.")
    ordered = [*own.values(), *(adapter for adapter in kinds if not adapter.city_bound)]
    keys = [(adapter, Key(tenant, adapter.provider, city if adapter.city_bound else "")) for adapter in ordered]
    return [adapter(endpoints[key], parts.calls) for adapter, key in keys if key in endpoints], city


async def _first_of(chain: Sequence[G], place: Callable[[G], Awaitable[Place | None]], city: str) -> Told:
    """What the first geocoder says that does not fail; raises what the first of all did."""
    failed: LakefrontError | None = None
    for geocoder in chain:
        try:
            found = await place(geocoder)
        except FAILURES as error:
            failed = failed or error
            continue
        fresh = NOWHERE if found is None else DAY if failed is None else FALLEN_BACK
        return Told(_MATCHES.dump_json([] if found is None else [found]), fresh, fresh)
    raise failed or NotConfigured(
        f"No geocoder {f'of {city} ' if city else ''}is set up here. An operator has to: upsertIntegration."
    )


def _matches(known: Known) -> list[Match]:
    as_of = datetime.fromtimestamp(known.as_of, UTC)
    return [Match(place, as_of, known.stale) for place in _MATCHES.validate_json(bytes(known.body))]
