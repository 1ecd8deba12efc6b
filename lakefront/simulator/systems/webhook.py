"""Somebody who takes our webhooks: verifies each, and keeps it to be looked at.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): ``webhook-id``, ``webhook-timestamp``,
and ``webhook-signature: v1,<base64>``, the HMAC-SHA256 over ``id.timestamp.body``; a secret is ``whsec_<base64>``.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import ClassVar, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import as_json
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.systems.base import Door, System

SECRET: Final = "whsec_" + base64.b64encode(b"a simulated webhook's secret").decode()
SECOND_SECRET: Final = "whsec_" + base64.b64encode(b"the one that it is rotated to").decode()

TOLERANCE: Final = 300
"""Seconds that a timestamp may be off."""


class Webhook(System):
    """204 for what is signed and new, 200 for what came before; 401 for a wrong signature, 400 for a wrong time."""

    name = "webhook"
    title = "Webhook receiver"
    limits: ClassVar[Mapping[str, str]] = {"webhook": ""}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self._taken: set[str] = set()
        self.secrets = {SECRET, SECOND_SECRET}
        """By which deliveries are verified; a test adds those that it was told of."""

    def routes(self) -> Sequence[Route]:
        """Any path."""
        return [Route("/{path:path}", self.take, methods=["POST"])]

    def doors(self) -> Sequence[Door]:
        """A secret that both know."""
        return [Door("v1", {"secret": SECRET}, path="/hooks/city")]

    async def take(self, request: Request) -> Response:
        """Verify and keep a delivery."""
        body, headers = await request.body(), request.headers
        id_, problem = headers.get("webhook-id", ""), self._problem(request, body)
        again = problem is None and id_ in self._taken
        if problem is None:
            self._taken.add(id_)
        self.city.webhooks.append(
            {
                "id": id_,
                "path": f"/{request.path_params['path']}",
                "at": iso(self.city.clock.now()),
                "problem": problem,
                "again": again,
                "content_type": headers.get("content-type"),
                "body": _body(body),
            }
        )
        if problem is not None:
            return as_json({"message": problem}, 400 if "timestamp" in problem else 401)
        return Response(status_code=200 if again else 204)

    def _problem(self, request: Request, body: bytes) -> str | None:
        """Why a delivery is not to be believed."""
        headers = request.headers
        id_, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not id_:
            return "webhook-id is missing"
        if not (timestamp.isascii() and timestamp.isdigit()):
            return "webhook-timestamp is no timestamp"
        if abs(self.city.clock.now().timestamp() - int(timestamp)) > TOLERANCE:
            return f"the timestamp is more than {TOLERANCE} seconds off"
        given = [each.removeprefix("v1,") for each in headers.get("webhook-signature", "").split() if each[:3] == "v1,"]
        wanted = [signature(secret, id_, int(timestamp), body) for secret in self.secrets]
        if not any(hmac.compare_digest(one.encode(), other.encode()) for one in given for other in wanted):
            return "webhook-signature does not hold"
        return None


def signature(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """The base64 of what follows ``v1,`` in ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, sha256)).decode()


def _body(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
