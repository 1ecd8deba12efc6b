"""Mapbox: geocoding (v6, and v5 as it was), and tiles."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator import places
from lakefront.simulator.answers import Refusal, as_json, coordinates, number, read_json
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System, seconds, waiting

TOKEN: Final = "pk.simulated"  # noqa: S105 - made up

MOST_WORDS: Final = 20
MOST_CHARACTERS: Final = 256
MOST_BATCH: Final = 1000
MOST_ZOOM: Final = 22

ATTRIBUTION: Final = "NOTICE: made up by a simulator."
FORMATS: Final = {"png": "image/png", "png32": "image/png", "png64": "image/png", "jpg70": "image/png"}


class Mapbox(System):
    """Knows all areas of the made-up map, and what is nearby any point of them."""

    name = "mapbox"
    title = "Mapbox"
    limits: ClassVar[Mapping[str, str]] = {"mapbox": "1000/minute", "mapbox/tiles": "200000/month"}

    def routes(self) -> Sequence[Route]:
        """Geocoding and tiles."""
        return [
            Route("/search/geocode/v6/forward", self.forward),
            Route("/search/geocode/v6/reverse", self.reverse),
            Route("/search/geocode/v6/batch", self.batch, methods=["POST"]),
            Route("/geocoding/v5/{endpoint}/{query:path}.json", self.v5),
            Route("/v4/{tileset}/{z:int}/{x:int}/{y}", self.tile),
            Route("/styles/v1/{owner}/{style}/tiles/{size:int}/{z:int}/{x:int}/{y}", self.tile),
            Route("/styles/v1/{owner}/{style}/tiles/{z:int}/{x:int}/{y}", self.tile),
        ]

    def doors(self) -> Sequence[Door]:
        """One token for all."""
        return [Door(version, {"token": TOKEN}) for version in ("v6", "v5")]

    def caller(self, request: Request) -> str:
        """The token."""
        return request.query_params.get("access_token") or super().caller(request)

    def limit(self, request: Request) -> str:
        """Tiles are counted by themselves."""
        return "mapbox/tiles" if "/v4/" in request.url.path or "/styles/" in request.url.path else "mapbox"

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """With Mapbox's own headers."""
        length = {"minute": 60, "month": 2_592_000}.get(exceeded.rate.per, 1)
        reset = int(self.city.clock.now().timestamp()) + seconds(exceeded.wait)
        headers = {"interval": length, "limit": exceeded.rate.calls, "reset": reset}
        told = {f"x-rate-limit-{name}": str(value) for name, value in headers.items()}
        return as_json({"message": "Rate limit exceeded"}, 429, told)

    async def forward(self, request: Request) -> Response:
        """``GET /search/geocode/v6/forward?q=&limit=&access_token=``, or the address in its parts."""
        self._admit(request)
        return as_json(_forward(dict(request.query_params)))

    async def reverse(self, request: Request) -> Response:
        """``GET /search/geocode/v6/reverse?longitude=&latitude=&access_token=``."""
        self._admit(request)
        return as_json(_reverse(dict(request.query_params)))

    async def batch(self, request: Request) -> Response:
        """``POST /search/geocode/v6/batch`` with a list of queries, forward and reverse ones mixed; each counts."""
        self._admit(request)
        queries = await read_json(request, _error(422, "The body must be a list of queries"))
        if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
            return _error(422, "The body must be a list of queries")
        if len(queries) > MOST_BATCH:
            return _error(422, f"At most {MOST_BATCH} queries are allowed")
        exceeded = (
            self.city.limits.take(self.name, self.caller(request), len(queries) - 1) if len(queries) > 1 else None
        )
        if exceeded is not None:
            return waiting(self.refused(request, exceeded), exceeded)
        return as_json({"batch": [_reverse(query) if "longitude" in query else _forward(query) for query in queries]})

    async def v5(self, request: Request) -> Response:
        """``GET /geocoding/v5/mapbox.places/{query}.json``; the permanent endpoint takes several with ``;`` between."""
        self._admit(request)
        endpoint, text = request.path_params["endpoint"], request.path_params["query"]
        if endpoint not in {"mapbox.places", "mapbox.places-permanent"}:
            return _error(404, "Not Found")
        parts = text.split(";")
        if len(parts) > 1 and endpoint == "mapbox.places":
            return _error(422, "Only the permanent endpoint takes more than one query")
        answers = [_v5(part, request.query_params) for part in parts]
        return as_json(answers if len(parts) > 1 else answers[0])

    async def tile(self, request: Request) -> Response:
        """A tile of one colour, with what a cache wants to know."""
        self._admit(request)
        row, _, form = request.path_params["y"].removesuffix("@2x").partition(".")
        row, retina = row.removesuffix("@2x"), "@2x" in request.path_params["y"]
        z, x, y = request.path_params["z"], request.path_params["x"], int(row) if row.isdigit() else -1
        if z > MOST_ZOOM or not 0 <= y < 2**z or not 0 <= x < 2**z:
            return _error(404, "Tile not found")
        if form not in {"", "vector.pbf", "mvt", *FORMATS}:
            return _error(404, "Tile not found")
        vector = form in {"vector.pbf", "mvt"}
        body = b"" if vector else _png(512 if retina else 256, blake2b(f"{z}/{x}/{y}".encode(), digest_size=3).digest())
        tag = f'"{blake2b(f"{z}/{x}/{y}/{form}/{retina}".encode(), digest_size=8).hexdigest()}"'
        headers = {"etag": tag, "cache-control": "max-age=43200,s-maxage=604800"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        kind = "application/vnd.mapbox-vector-tile" if vector else FORMATS.get(form, "image/png")
        return Response(body, headers=headers, media_type=kind)

    def _admit(self, request: Request) -> None:
        token = request.query_params.get("access_token")
        if not token:
            raise Refusal(_error(401, "Not Authorized - No Token"))
        if token == SUSPENDED:
            raise Refusal(_error(403, "Forbidden"))
        if not self.shows(token, (TOKEN,)):
            raise Refusal(_error(401, "Not Authorized - Invalid Token"))


def _forward(query: Mapping[str, Any]) -> dict[str, Any]:
    text = str(query.get("q") or _in_parts(query))
    if not text.strip():
        raise Refusal(_error(404, "No search text or structured input parameters were provided in the query."))
    if ";" in text or len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS:
        raise Refusal(_error(422, f"Query too long, or with a ';': at most {MOST_WORDS} words"))
    place = places.find(text)
    return _collection([_feature(place)] if place else [])


def _reverse(query: Mapping[str, Any]) -> dict[str, Any]:
    point = coordinates(query.get("latitude"), query.get("longitude"))
    if point is None:
        raise Refusal(_error(422, "longitude and latitude must be degrees"))
    place = places.nearest(*point)
    return _collection([_feature(place)] if place else [])


def _in_parts(query: Mapping[str, Any]) -> str:
    line = query.get("address_line1") or f"{query.get('address_number', '')} {query.get('street', '')}"
    rest = [str(query[name]) for name in ("place", "region", "postcode") if query.get(name)]
    return ", ".join([str(line).strip(), *rest]) if str(line).strip() or rest else ""


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features, "attribution": ATTRIBUTION}


def _feature(place: places.Place) -> dict[str, Any]:
    id_ = _id(place)
    full = f"{place.line}, {place.area.city}, {place.area.state} {place.zipcode}, United States"
    matched = dict.fromkeys(
        ("address_number", "street", "postcode", "place", "region", "locality", "country"), "matched"
    )
    return {
        "type": "Feature",
        "id": id_,
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {
            "mapbox_id": id_,
            "feature_type": "address",
            "full_address": full,
            "name": place.line,
            "name_preferred": place.line,
            "place_formatted": full.partition(", ")[2],
            "coordinates": {
                "longitude": place.longitude,
                "latitude": place.latitude,
                "accuracy": "rooftop",
                "routable_points": [{"name": "default", "latitude": place.latitude, "longitude": place.longitude}],
            },
            "match_code": {**matched, "confidence": "exact"},
            "context": {
                "address": {
                    "mapbox_id": id_,
                    "address_number": place.number,
                    "street_name": place.street,
                    "name": place.line,
                },
                "street": {"mapbox_id": id_, "name": place.street},
                "postcode": {"mapbox_id": id_, "name": place.zipcode},
                **({"locality": {"mapbox_id": id_, "name": place.area.name}} if place.area.borough else {}),
                "place": {"mapbox_id": id_, "name": place.area.city},
                "region": {"mapbox_id": id_, "name": place.area.state, "region_code": place.area.state},
                "country": {"mapbox_id": id_, "name": "United States", "country_code": "US"},
            },
        },
    }


def _v5(text: str, options: Mapping[str, str]) -> dict[str, Any]:
    pair = [number(part) for part in text.split(",")]
    reverse = len(pair) == 2 and None not in pair
    if reverse:
        point = coordinates(pair[1], pair[0])
        if point is None:
            raise Refusal(_error(422, "Longitude or latitude is out of range"))
        place = places.nearest(*point)
    else:
        place = places.find(text)
    return {
        "type": "FeatureCollection",
        "query": pair if reverse else text.lower().replace(",", " ").split(),
        "features": [_v5_feature(place)] if place else [],
        "attribution": ATTRIBUTION,
    }


def _v5_feature(place: places.Place) -> dict[str, Any]:
    center = [place.longitude, place.latitude]
    context = [("postcode", place.zipcode), ("place", place.area.city)]
    context[1:1] = [("locality", place.area.name)] if place.area.borough else []
    return {
        "id": f"address.{_id(place)}",
        "type": "Feature",
        "place_type": ["address"],
        "relevance": 1,
        "properties": {"accuracy": "rooftop"},
        "text": place.street,
        "place_name": f"{place.line}, {place.area.city}, {place.area.state} {place.zipcode}, United States",
        "center": center,
        "geometry": {"type": "Point", "coordinates": center},
        "address": place.number,
        "context": [
            *({"id": f"{kind}.{_id(place)}", "text": text} for kind, text in context),
            {"id": f"region.{_id(place)}", "short_code": f"US-{place.area.state}", "text": place.area.state},
            {"id": f"country.{_id(place)}", "short_code": "us", "text": "United States"},
        ],
    }


def _id(place: places.Place) -> str:
    return blake2b(place.full.encode(), digest_size=8).hexdigest()


def _error(status: int, message: str) -> Response:
    return as_json({"message": message}, status)


def _png(side: int, colour: bytes) -> bytes:
    """A square of one colour: a palette of one entry, and rows of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = bytes((1 + side // 8) * side)  # one bit a pixel, and each row's filter
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 3, 0, 0, 0)),
            chunk(b"PLTE", colour),
            chunk(b"IDAT", zlib.compress(rows, 9)),
            chunk(b"IEND", b""),
        ]
    )
