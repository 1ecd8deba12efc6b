"""New York's Geoclient: single-field search, in the form of the integration guide (v1) and in today's (v2)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator import places
from lakefront.simulator.answers import Refusal, as_json, as_text
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System, seconds

APP_ID: Final = "simulated-app"
KEY: Final = "simulated-geoclient-key"
SECOND_KEY: Final = "simulated-geoclient-second-key"


class Geoclient(System):
    """Knows New York alone; each key has a quota of its own, so that a second one goes on where the first is spent."""

    name = "geoclient"
    title = "NYC Geoclient"
    limits: ClassVar[Mapping[str, str]] = {"geoclient": "2500/minute,100000/day"}

    def routes(self) -> Sequence[Route]:
        """Both forms."""
        return [
            Route("/geoclient/v1/search.json", self.v1),
            Route("/geoclient/v2/search", self.v2),
            Route("/geoclient/v2/search.json", self.v2),
        ]

    def doors(self) -> Sequence[Door]:
        """Today's form with two keys, and the guide's."""
        keys = {"key": KEY, "secondary_key": SECOND_KEY}
        return [Door("v2", keys, "nyc"), Door("v1", {"app_id": APP_ID, **keys}, "nyc")]

    def caller(self, request: Request) -> str:
        """The key."""
        return _key(request) or super().caller(request)

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As the gateway tells it."""
        told = f"Rate limit is exceeded. Try again in {seconds(exceeded.wait)} seconds."
        return as_json({"statusCode": 429, "message": told}, 429)

    async def v1(self, request: Request) -> Response:
        """``GET /geoclient/v1/search.json?q=&app_id=&app_key=``; ``input`` is another name of ``q``."""
        query = request.query_params
        if not query.get("app_id") or not query.get("app_key"):
            raise Refusal(as_text("Authentication parameters missing", 401))
        if query["app_id"] != APP_ID or not self.shows(query["app_key"], (KEY, SECOND_KEY)):
            raise Refusal(as_text("Authentication failed", 403))
        return self._search(query.get("q") or query.get("input"))

    async def v2(self, request: Request) -> Response:
        """``GET /geoclient/v2/search?input=`` with ``Ocp-Apim-Subscription-Key``."""
        key = _key(request)
        if key == SUSPENDED:
            raise Refusal(as_json({"statusCode": 403, "message": "The subscription is suspended."}, 403))
        if not self.shows(key, (KEY, SECOND_KEY)):
            what, do = ("missing", "include") if key is None else ("invalid", "provide a valid")
            told = f"Access denied due to {what} subscription key. Make sure to {do} subscription key."
            raise Refusal(as_json({"statusCode": 401, "message": told}, 401))
        return self._search(request.query_params.get("input"))

    def _search(self, text: str | None) -> Response:
        if not text or not text.strip():
            return as_json({"httpStatus": "BAD_REQUEST", "message": "Required parameter 'input' is not present."}, 400)
        place = places.find(text)
        known = place is not None and bool(place.area.borough_code)
        results = [_result(place)] if place is not None and known else []
        answer = {"id": f"simulated-{len(text)}", "status": "OK" if known else "REJECTED", "input": text}
        return as_json({**answer, "results": results, "parseTree": None, "policy": None})


def _key(request: Request) -> str | None:
    return request.headers.get("ocp-apim-subscription-key") or request.query_params.get("app_key")


def _result(place: places.Place) -> dict[str, Any]:
    borough, code = place.area.borough, place.area.borough_code
    lot = f"{code}{int(place.zipcode):05d}{int(place.number) % 9999:04d}"
    response = {
        "bbl": lot,
        "bblBoroughCode": code,
        "bblTaxBlock": lot[1:6],
        "bblTaxLot": lot[6:],
        "boroughCode1In": code,
        "buildingIdentificationNumber": f"{code}{int(place.number):06d}",
        "communityDistrict": f"{code}01",
        "firstBoroughName": borough,
        "firstStreetNameNormalized": place.street.upper(),
        "geosupportFunctionCode": "1B",
        "geosupportReturnCode": "00",
        "houseNumber": place.number,
        "houseNumberIn": place.number,
        "latitude": place.latitude,
        "latitudeInternalLabel": place.latitude,
        "longitude": place.longitude,
        "longitudeInternalLabel": place.longitude,
        "returnCode1a": "00",
        "returnCode1e": "00",
        "streetName1In": place.street.upper(),
        "uspsPreferredCityName": "NEW YORK" if borough == "MANHATTAN" else borough,
        "zipCode": place.zipcode,
    }
    asked = f"address [houseNumber={place.number}, street={place.street}, borough={borough}, zip=null]"
    return {"level": "0", "status": "EXACT_MATCH", "request": asked, "response": response}
