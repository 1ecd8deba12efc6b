"""New York's Geoclient (C4): places of addresses as people write them, with the city's own numbers for them."""

from string import capwords
from typing import ClassVar

from lakefront.adapters.calls import Request, Response
from lakefront.adapters.dto import Point, Wire, found_at
from lakefront.adapters.geocoding import Geocoder, Place, Precision, in_one_line
from lakefront.errors import RateLimited


class Geoclient(Geocoder):
    """``v2`` has its key in a header, ``v1``, as it was, in the query. Each key has a quota of its own."""

    provider = "geoclient"
    title = "NYC Geoclient"
    default_base_url = "https://api.nyc.gov"
    api_versions = ("v2", "v1")
    credentials: ClassVar = {
        "key": "subscription key (v1: app_key)",
        "secondary_key": "second key, used when the first one's quota is spent",
        "app_id": "app_id, for v1",
    }
    optional_credentials = frozenset({"secondary_key", "app_id"})
    quota_daily = 100_000
    city_bound = True

    async def geocode(self, address: str, *, trace_id: str = "") -> Place | None:
        """As every geocoder; what it does not know in New York is None."""
        line = in_one_line(address, most=200)
        if self.endpoint.credentials.get("secondary_key"):
            try:
                return await self._call(self._search(line, "key", waits=False), _place, trace_id=trace_id)
            except RateLimited:
                return await self._call(self._search(line, "secondary_key"), _place, trace_id=trace_id)
        return await self._call(self._search(line, "key"), _place, trace_id=trace_id)

    async def test(self) -> None:
        """Where City Hall is."""
        await self.geocode("City Hall Park, Manhattan")

    def _search(self, line: str, name: str, *, waits: bool = True) -> Request:
        key = self.credential(name)
        if self.endpoint.api_version == "v1":
            query = {"q": line, "app_id": self.credential("app_id"), "app_key": key}
            return Request("geocode", "GET", "/geoclient/v1/search.json", query, lane=name, waits=waits)
        headers = {"Ocp-Apim-Subscription-Key": key}
        return Request("geocode", "GET", "/geoclient/v2/search", {"input": line}, headers, lane=name, waits=waits)


class _Result(Wire):
    """An address, an intersection, or a street, which has no point: https://maps.nyc.gov/geoclient/v2/doc."""

    latitude: float | None = found_at("response.latitude", "latitude", default=None)
    longitude: float | None = found_at("response.longitude", "longitude", default=None)
    house_number: str | None = found_at("response.houseNumber", "houseNumber", default=None)
    street: str | None = found_at(
        "response.firstStreetNameNormalized", "response.streetName1In", "firstStreetNameNormalized", default=None
    )
    crossing: str | None = found_at("response.secondStreetNameNormalized", default=None)
    borough: str | None = found_at("response.firstBoroughName", "firstBoroughName", default=None)
    borough_code: str | None = found_at("response.boroughCode1In", "response.bblBoroughCode", "boroCode", default=None)
    city: str | None = found_at("response.uspsPreferredCityName", default=None)
    postal_code: str | None = found_at("response.zipCode", "zipCode", default=None)
    bbl: str | None = found_at("response.bbl", "bbl", default=None)
    bin: str | None = found_at("response.buildingIdentificationNumber", default=None)


class _Found(Wire):
    status: str
    results: list[_Result] = found_at("results", default=[])


def _place(answer: Response) -> Place | None:
    found = answer.model(_Found)
    if found.status != "OK":
        return None
    for each in found.results:
        if each.latitude is not None and each.longitude is not None:
            return _told(each, Point(latitude=each.latitude, longitude=each.longitude))
    return None


def _told(found: _Result, point: Point) -> Place:
    street, borough, city = (name and capwords(name) for name in (found.street, found.borough, found.city))
    if found.crossing and not found.house_number:
        precision, first = Precision.INTERSECTION, f"{street} & {capwords(found.crossing)}"
    else:
        precision = Precision.ADDRESS if found.house_number else Precision.STREET
        first = " ".join(filter(None, (found.house_number, street)))
    return Place(
        point=point,
        label=", ".join(filter(None, (first, borough or city, f"NY {found.postal_code or ''}".strip()))),
        precision=precision,
        house_number=found.house_number,
        street=street,
        borough=borough,
        borough_code=found.borough_code,
        city="New York",
        region="NY",
        postal_code=found.postal_code,
        country_code="US",
        bbl=found.bbl,
        bin=found.bin,
        source=Geoclient.provider,
    )
