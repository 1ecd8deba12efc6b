"""Slack's incoming webhooks: the URL is the secret, and the answers are words."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator.answers import as_text, read_object
from lakefront.simulator.clock import iso
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import Door, System

TEAM: Final = "T00000000"
HOOK: Final = "B00000000"
SECRET: Final = "simulatedslackhook"  # noqa: S105 - made up
ARCHIVED: Final = "B00000ARC"
"""A webhook whose channel is archived."""


class Slack(System):
    """Messages are kept for ``/_control/messages``."""

    name = "slack"
    title = "Slack"
    limits: ClassVar[Mapping[str, str]] = {"slack": "1/second"}

    def routes(self) -> Sequence[Route]:
        """The one call."""
        return [Route("/services/{team}/{hook}/{secret}", self.post, methods=["POST"])]

    def doors(self) -> Sequence[Door]:
        """The path of a webhook, which is its secret."""
        return [Door("webhook", {"path": f"/services/{TEAM}/{HOOK}/{SECRET}"})]

    def caller(self, request: Request) -> str:
        """The webhook."""
        return request.url.path

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As they tell it."""
        return as_text("rate_limited", 429)

    async def post(self, request: Request) -> Response:
        """``ok``, or why not."""
        path = request.path_params
        if path["team"] != TEAM or path["hook"] not in {HOOK, ARCHIVED}:
            return as_text("no_service", 404)
        if not self.shows(path["secret"], (SECRET,)):
            return as_text("invalid_token", 403)
        if path["hook"] == ARCHIVED:
            return as_text("channel_is_archived", 410)
        message = await read_object(request, as_text("invalid_payload", 400))
        if not any(message.get(name) for name in ("text", "blocks", "attachments")):
            return as_text("no_text", 400)
        self.city.messages.append({"system": self.name, "id": "", "at": iso(self.city.clock.now()), "message": message})
        return as_text("ok")
