"""Whatever a client sends, a system answers as a system: it never fails by itself."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.routing import BaseRoute, Route

from lakefront.simulator import Simulator
from lakefront.simulator.server import application
from lakefront.simulator.systems import build
from lakefront.simulator.systems.base import Door, System

VALUES: list[Any] = [
    None,
    True,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "\ud7ff",
    [],
    [None],
    {},
    [[]],
    [{}],
    {"x": None},
    "x" * 5000,
]
BODIES = [b"", b"\xff\xfe", b"null", b"{", b"[" * 1000, *(orjson.dumps(value) for value in VALUES if value != 10**30)]
HOSTILE = ("-1", "", "x", "%", "é", "9" * 400, "'", "a;b", "2026-01-01", "12 Main Street")
HERE = {"jurisdiction_id": "bos.example"}
NAMES = (
    *("incidentAddress", "descriptor", "agencyCode", "latitude", "SRNumbers", "username", "password", "household"),
    *("person", "personalizations", "from", "content", "subject", "text", "routing_key", "event_action", "dedup_key"),
    *("payload", "query", "page", "RequestType", "Address", "Latitude", "ExternalReference", "q", "longitude"),
    *(
        "mail_settings",
        "interestedPrograms",
        "lat",
        "lon",
        "appid",
        "access_token",
        "$where",
        "$order",
        "$limit",
        "input",
    ),
    *("To", "From", "Body", "api_key", "jurisdiction_id", "service_code", "start_date", "attribute[x]", "grant_type"),
)
OBJECTS = [orjson.dumps(dict.fromkeys(NAMES, value)) for value in VALUES if value != 10**30]


async def admitted(http: httpx.AsyncClient, door: Door) -> dict[str, str]:
    """Headers that let one in, whichever system it is."""
    keys = door.credentials
    key = keys.get("key") or keys.get("app_token") or "none"
    authorization = f"Bearer {key}"
    if "account_sid" in keys:
        account = ":".join((keys["account_sid"], keys["auth_token"]))
        authorization = f"Basic {b64encode(account.encode()).decode()}"
    if "username" in keys:
        authorization = (await http.post("/nyc_benefits/authToken", json=dict(keys))).json()["token"]
    return {
        **dict.fromkeys(("X-Api-Key", "Ocp-Apim-Subscription-Key", "X-App-Token"), key),
        "Authorization": authorization,
        "webhook-id": "é",
        "webhook-timestamp": "٣",
    }


def asked(system: System) -> Iterator[tuple[str, str]]:
    """Every method and path of a system, with something in the path's places."""
    routes: list[BaseRoute] = list(system.routes())
    for route in routes:
        assert isinstance(route, Route)
        path = route.path.replace(":int", "").replace(":path", "").replace("{format}", "json")
        for name, value in {"id": "erm2-nwe9", "z": "1", "x": "1", "y": "1.png", "size": "256"}.items():
            path = path.replace(f"{{{name}}}", value)
        while "{" in path:
            path = f"{path[: path.index('{')]}%00é;{path[path.index('}') + 1 :]}"
        for method in (route.methods or set()) - {"HEAD"}:
            yield method, f"/{system.name}{path}"


@pytest.mark.parametrize("name", sorted(build(Simulator()).keys()))
async def test_no_input_is_a_failure(name: str) -> None:
    simulator = Simulator(rows=20)
    simulator.limits.set(dict.fromkeys(simulator.limits.told(), ""))
    transport = httpx.ASGITransport(application(simulator))  # raises what a handler raises
    async with httpx.AsyncClient(base_url="http://city", transport=transport, trust_env=False, verify=False) as http:
        system = simulator.systems[name]
        secrets = system.doors()[0].credentials
        headers = {key.encode(): value.encode() for key, value in (await admitted(http, system.doors()[0])).items()}
        for method, path in asked(system):
            for body in [*BODIES, *OBJECTS] if method == "POST" else [b""]:
                await http.request(method, path, content=body, headers=headers)
            for value in HOSTILE:
                query = {
                    **dict.fromkeys(NAMES, value),
                    "access_token": secrets.get("token", value),
                    "appid": secrets.get("key", value),
                }
                await http.request(method, path, params=query, headers=headers)
                await http.request(method, path, data={**query, "api_key": secrets.get("key", value)}, headers=headers)
                for each in ("$where", "$order", "$select", "$limit", "$query", "q", "start_date"):
                    await http.request(method, path, params={**HERE, **secrets, each: value}, headers=headers)
