"""Mapbox: geocoding where the city has none of its own (C4), and the tiles of maps (C8)."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from lakefront.adapters.calls import Request, Response, Unreadable, segment
from lakefront.adapters.calls.reading import media_type
from lakefront.adapters.dto import Point, Wire, found_at
from lakefront.adapters.geocoding import Place, Precision, ReverseGeocoder, in_one_line
from lakefront.adapters.maps import MOST_ZOOM, Tile
from lakefront.errors import ValidationError

_STYLE = re.compile(r"[a-z0-9_-]{1,64}/[a-z0-9_-]{1,64}", re.ASCII | re.IGNORECASE)
_MAX_AGE = re.compile(r"max-age=([0-9]{1,8})")
_DAY = 86_400
_LARGE = 100
"""Addresses of a batch from which on a thread reads the answer."""


class Mapbox(ReverseGeocoder):
    """``v6``, and ``v5`` as it was. Tiles have a lane of their own, as they have a price of their own."""

    provider = "mapbox"
    title = "Mapbox"
    default_base_url = "https://api.mapbox.com"
    api_versions = ("v6", "v5")
    credentials: ClassVar = {"token": "access token (pk.… or sk.…)"}
    quota_daily = 6_400  # of each: 200,000 a month
    most_at_once = 1000

    async def geocode(self, address: str, *, trace_id: str = "") -> Place | None:
        """As every geocoder."""
        line = _written(address)
        if self.endpoint.api_version == "v5":
            return await self._call(self._v5(segment(line)), _place_v5, trace_id=trace_id)
        request = self._v6("geocode", "forward", q=line, autocomplete="false")
        return await self._call(request, _place_v6, trace_id=trace_id)

    async def reverse(self, point: Point, *, trace_id: str = "") -> Place | None:
        """As every geocoder that knows points."""
        if self.endpoint.api_version == "v5":
            request = self._v5(f"{point.longitude:.6f},{point.latitude:.6f}")
            return await self._call(request, _place_v5, trace_id=trace_id)
        request = self._v6("reverse", "reverse", longitude=point.longitude, latitude=point.latitude)
        return await self._call(request, _place_v6, trace_id=trace_id)

    async def batch(self, addresses: Sequence[str], *, trace_id: str = "") -> list[Place | None]:
        """As every geocoder that knows many; ``v5`` is asked for each by itself."""
        if len(addresses) > self.most_at_once:
            raise ValidationError(f"At most {self.most_at_once} addresses at once: ask for them in parts.")
        lines = [_written(address) for address in addresses]
        if not lines:
            return []
        if self.endpoint.api_version == "v5":
            return await asyncio.gather(*(self.geocode(line, trace_id=trace_id) for line in lines))
        request = Request(
            name="batch",
            method="POST",
            path="/search/geocode/v6/batch",
            query={"access_token": self.credential("token")},
            json=[{"q": line, "limit": 1, "autocomplete": False} for line in lines],
            most_bytes=16 * 1024 * 1024,
            cost=len(lines),
            large=len(lines) > _LARGE,
        )
        return await self._call(request, lambda answer: _places_v6(answer, len(lines)), trace_id=trace_id)

    async def tile(
        self, style: str, zoom: int, column: int, row: int, *, dense: bool = False, etag: str = "", trace_id: str = ""
    ) -> Tile | None:
        """A tile of 512 by 512 points (``dense``: twice as many pixels); None where it is still the one with ``etag``.

        Raises ``ValidationError`` for one that cannot be; ``style`` is an owner and a name, ``mapbox/streets-v12``.
        """
        if not _STYLE.fullmatch(style) or not 0 <= zoom <= MOST_ZOOM or not (0 <= column < 2**zoom > row >= 0):
            raise ValidationError(
                "There is no such tile. Give owner/style, a zoom of 0 to 22, and a column and row of it."
            )
        request = Request(
            name="tile",
            method="GET",
            path=f"/styles/v1/{style}/tiles/512/{zoom}/{column}/{row}{'@2x' if dense else ''}",
            query={"access_token": self.credential("token")},
            headers={"If-None-Match": etag} if etag else {},
            kinds=("image/*",),
            expected=frozenset({304}),
            lane="tiles",
        )
        return await self._call(request, _tile, trace_id=trace_id)

    async def test(self) -> None:
        """Where City Hall is."""
        await self.geocode("City Hall, New York")

    def _v6(self, name: str, what: str, **query: str | float) -> Request:
        query |= {"limit": 1, "access_token": self.credential("token")}
        return Request(name, "GET", f"/search/geocode/v6/{what}", query)

    def _v5(self, what: str) -> Request:
        query: dict[str, str | int] = {"limit": 1, "access_token": self.credential("token")}
        return Request("geocode", "GET", f"/geocoding/v5/mapbox.places/{what}.json", query)


def _written(address: str) -> str:
    """As Mapbox takes it: at most 256 characters and 20 words, no semicolon."""
    line = in_one_line(address.replace(";", ","), most=256)
    return " ".join(line.split(" ")[:20])


class _V6(Wire):
    """A feature: https://docs.mapbox.com/api/search/geocoding/."""

    label: str = found_at("properties.full_address", "properties.place_formatted", "properties.name")
    kind: str = found_at("properties.feature_type", default="")
    accuracy: str | None = found_at("properties.coordinates.accuracy", default=None)
    latitude: float = found_at("properties.coordinates.latitude", "geometry.coordinates.1")
    longitude: float = found_at("properties.coordinates.longitude", "geometry.coordinates.0")
    house_number: str | None = found_at("properties.context.address.address_number", default=None)
    street: str | None = found_at(
        "properties.context.address.street_name", "properties.context.street.name", default=None
    )
    borough: str | None = found_at("properties.context.locality.name", default=None)
    city: str | None = found_at("properties.context.place.name", default=None)
    region: str | None = found_at("properties.context.region.region_code", default=None)
    postal_code: str | None = found_at("properties.context.postcode.name", default=None)
    country_code: str | None = found_at("properties.context.country.country_code", default=None)


class _Named(Wire):
    id: str
    text: str
    short_code: str = ""


class _V5(Wire):
    """A feature: https://docs.mapbox.com/api/search/geocoding-v5/."""

    label: str = found_at("place_name")
    kind: str = found_at("place_type.0", default="")
    accuracy: str | None = found_at("properties.accuracy", default=None)
    latitude: float = found_at("center.1")
    longitude: float = found_at("center.0")
    house_number: str | None = found_at("address", default=None)
    street: str | None = found_at("text", default=None)
    context: list[_Named] = Field([], exclude=True)


class _FoundV6(Wire):
    features: list[_V6]


class _BatchV6(Wire):
    batch: list[_FoundV6]


class _FoundV5(Wire):
    features: list[_V5]


def _place_v6(answer: Response) -> Place | None:
    return _first(answer.model(_FoundV6))


def _places_v6(answer: Response, number: int) -> list[Place | None]:
    batch = answer.model(_BatchV6).batch
    if len(batch) != number:
        raise Unreadable(f"it answers {len(batch)} of {number} addresses")
    return [_first(found) for found in batch]


def _first(found: _FoundV6) -> Place | None:
    return _place(found.features[0], found.features[0].model_dump()) if found.features else None


def _place_v5(answer: Response) -> Place | None:
    features = answer.model(_FoundV5).features
    if not features:
        return None
    found = features[0]
    around = {each.id.partition(".")[0]: each for each in found.context}
    names = {name: around[kind].text for name, kind in _AROUND_V5.items() if kind in around}
    codes = {name: around[kind].short_code.upper() for name, kind in _CODES_V5.items() if kind in around}
    if "region" in codes:
        codes["region"] = codes["region"].rpartition("-")[2]
    return _place(found, found.model_dump() | names | codes)


_AROUND_V5 = {"postal_code": "postcode", "borough": "locality", "city": "place"}
_CODES_V5 = {"region": "region", "country_code": "country"}


def _place(found: _V5 | _V6, told: dict[str, Any]) -> Place:
    for name in ("kind", "accuracy", "latitude", "longitude"):
        del told[name]
    precision = _precision(found.kind, found.accuracy)
    if precision is Precision.AREA:
        told |= {"street": None, "house_number": None}
    point = Point(latitude=found.latitude, longitude=found.longitude)
    return Place(point=point, precision=precision, source=Mapbox.provider, **told)


def _precision(kind: str, accuracy: str | None) -> Precision:
    if accuracy == "intersection":
        return Precision.INTERSECTION
    if kind in {"street", "block"} or accuracy == "street":
        return Precision.STREET
    return Precision.ADDRESS if kind in {"address", "secondary_address"} else Precision.AREA


def _tile(answer: Response) -> Tile | None:
    if answer.status == 304:
        return None
    if not answer.body:
        raise Unreadable("the tile is empty")
    age = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    return Tile(
        body=answer.body,
        media_type=media_type(answer.headers["content-type"]),
        etag=answer.headers.get("etag"),
        fresh_seconds=min(int(age[1]), 30 * _DAY) if age else _DAY,
    )
