"""``/_control``: the city steered and looked into from outside: by tests, benchmarks and chaos runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson
import pydantic
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.errors import LakefrontError, ValidationError
from lakefront.simulator import faults
from lakefront.simulator.answers import Refusal, as_json
from lakefront.simulator.city import City
from lakefront.simulator.clock import iso
from lakefront.simulator.systems.base import System
from lakefront.simulator.systems.socrata import Socrata
from lakefront.simulator.tickets import Pace, Stage


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClockForm(_Form):
    """``PATCH /_control/clock``."""

    advance: float = Field(0.0, ge=-86_400 * 366, le=86_400 * 366, description="Seconds to move the clock.")
    speed: float | None = Field(None, ge=0, le=1_000_000, description="Seconds of the city in a real one from now on.")


class TicketForm(_Form):
    """``PATCH /_control/tickets/{system}/{id}``."""

    status: Stage
    note: str = "Decided by the control endpoint."


class PaceForm(_Form):
    """``PUT /_control/pace``."""

    progress: float = Field(ge=0, description="Seconds of the city until tickets are worked on.")
    close: float = Field(ge=0, description="Seconds of the city until they are closed.")


class OpenDataForm(_Form):
    """``POST /_control/socrata``."""

    dataset: str | None = Field(None, description="Whose rows change; needs 'changed' or 'added'.")
    changed: int = Field(0, ge=0, le=100_000, description="Rows that get a new :updated_at now.")
    added: int = Field(0, ge=0, le=100_000, description="Rows that are new now.")
    pending: int | None = Field(None, ge=0, description="How many of the next queries are answered 202 first.")
    job_id: bool = Field(default=True, description="Whether a 202 tells a Job-Id.")


FormT = TypeVar("FormT", bound=_Form)


class Control:
    """Routes that read and change the city; changes want ``application/json``, so that no web page can send them."""

    def __init__(
        self, city: City, systems: Mapping[str, System], endpoints: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self._city = city
        self._systems = systems
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        """What can be asked."""
        table: dict[str, dict[str, Callable[[Request], Awaitable[Any]]]] = {
            "/": {"GET": self.overview},
            "/endpoints": {"GET": self.endpoints},
            "/faults": {"GET": self.faults, "PUT": self.set_faults, "POST": self.add_faults, "DELETE": self.no_faults},
            "/clock": {"GET": self.clock, "PATCH": self.set_clock},
            "/pace": {"PUT": self.set_pace},
            "/limits": {"GET": self.limits, "PATCH": self.set_limits},
            "/calls": {"GET": self.calls},
            "/tickets": {"GET": self.tickets},
            "/tickets/{system}/{id}": {"PATCH": self.set_ticket},
            "/messages": {"GET": self.messages},
            "/webhooks": {"GET": self.webhooks},
            "/alerts": {"GET": self.alerts},
            "/socrata": {"POST": self.open_data},
        }
        return [
            Route(path, _answering(handler), methods=[method])
            for path, handlers in table.items()
            for method, handler in handlers.items()
        ]

    async def overview(self, request: Request) -> dict[str, Any]:
        """Seed, time, and what is played."""
        return {
            "seed": self._city.seed,
            "clock": self._time(),
            "systems": {name: system.title for name, system in self._systems.items()},
            "faults": len(self._city.faults.rules),
            "tickets": len(self._city.tickets.filed),
        }

    async def endpoints(self, request: Request) -> list[dict[str, Any]]:
        """The ways in, with made-up credentials."""
        return self._endpoints()

    async def faults(self, request: Request) -> list[dict[str, Any]]:
        """The rules in force."""
        return [fault.model_dump(mode="json") for fault in self._city.faults.rules]

    async def set_faults(self, request: Request) -> list[dict[str, Any]]:
        """Take the rules of a JSON list instead."""
        self._city.faults.set(faults.checked(await request.body()))
        return await self.faults(request)

    async def add_faults(self, request: Request) -> list[dict[str, Any]]:
        """Take more rules."""
        for fault in faults.checked(await request.body()):
            self._city.faults.add(fault)
        return await self.faults(request)

    async def no_faults(self, request: Request) -> list[dict[str, Any]]:
        """Let nothing go wrong any more."""
        self._city.faults.set(())
        return []

    async def clock(self, request: Request) -> dict[str, Any]:
        """The city's time."""
        return self._time()

    async def set_clock(self, request: Request) -> dict[str, Any]:
        """Move the clock, or change its speed."""
        form = await _read(request, ClockForm)
        self._city.clock.advance(form.advance)
        if form.speed is not None:
            self._city.clock.run_at(form.speed)
        return self._time()

    async def set_pace(self, request: Request) -> dict[str, Any]:
        """Let tickets go faster or slower."""
        form = await _read(request, PaceForm)
        self._city.tickets.pace = Pace(form.progress, form.close)
        return form.model_dump()

    async def limits(self, request: Request) -> dict[str, str]:
        """The limits in force."""
        return self._city.limits.told()

    async def set_limits(self, request: Request) -> dict[str, str]:
        """Change some: ``{"nyc311": "10/second,100000/day", "twilio": ""}``."""
        told = await _json(request)
        if not isinstance(told, dict) or not all(isinstance(rate, str) for rate in told.values()):
            raise ValidationError('Send an object of limits by their names: {"nyc311": "10/second,100000/day"}.')
        if unknown := sorted(told.keys() - self._city.limits.told().keys()):
            raise ValidationError(f"No limit is called {', '.join(unknown)}. GET /_control/limits has their names.")
        self._city.limits.set(told)
        return self._city.limits.told()

    async def calls(self, request: Request) -> dict[str, Any]:
        """What came in, counted by system; ``?recent=20`` adds the latest, ``?system=`` takes one system alone."""
        asked = request.query_params.get("system")
        recent = _count(request.query_params.get("recent", "0"))
        journal = self._city.journal
        calls = [call for call in journal.calls if asked in {None, call.system}]
        return {
            "systems": {name: tally.told() for name, tally in journal.tallies.items() if asked in {None, name}},
            "recent": [
                {name: getattr(call, name) for name in call.__slots__ if name != "caller"} | {"at": iso(call.at)}
                for call in calls[len(calls) - min(recent, len(calls)) :]
            ],
        }

    async def tickets(self, request: Request) -> list[dict[str, Any]]:
        """What clients filed; ``?all=true`` adds what was sent as a test, or there from the start."""
        tickets = self._city.tickets
        listed = tickets if request.query_params.get("all") == "true" else tickets.filed
        system = request.query_params.get("system")
        return [tickets.told(ticket) for ticket in listed if system in {None, ticket.system}]

    async def set_ticket(self, request: Request) -> dict[str, Any]:
        """Decide where a ticket stands."""
        form = await _read(request, TicketForm)
        ticket = self._city.tickets.get(request.path_params["system"], request.path_params["id"])
        if ticket is None:
            raise Refusal(as_json({"message": "No such ticket. GET /_control/tickets?all=true lists them."}, 404))
        self._city.tickets.decide(ticket, form.status, form.note)
        return self._city.tickets.told(ticket)

    async def messages(self, request: Request) -> list[dict[str, Any]]:
        """E-mails, text and chat messages that were taken."""
        return list(self._city.messages)

    async def webhooks(self, request: Request) -> list[dict[str, Any]]:
        """Deliveries to the webhook receiver."""
        return list(self._city.webhooks)

    async def alerts(self, request: Request) -> list[dict[str, Any]]:
        """Alerts, and how each stands."""
        return list(self._city.alerts.values())

    async def open_data(self, request: Request) -> dict[str, Any]:
        """Change rows of a data set, or make queries wait."""
        form, socrata = await _read(request, OpenDataForm), self._systems["socrata"]
        assert isinstance(socrata, Socrata)
        if form.pending is not None:
            socrata.pending, socrata.tells_job = form.pending, form.job_id
        if form.dataset is not None:
            socrata.change(form.dataset, form.changed, form.added)
        return {"pending": socrata.pending, "rows": socrata.sizes()}

    def _time(self) -> dict[str, Any]:
        return {"now": iso(self._city.clock.now()), "speed": self._city.clock.speed}


def _answering(handler: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if request.method != "GET" and await request.body():
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if kind != "application/json":
                return as_json({"message": "Send application/json."}, 415)
        try:
            return as_json(await handler(request))
        except LakefrontError as wrong:
            return as_json({"message": wrong.message}, wrong.status)

    return answer


async def _json(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as wrong:
        raise ValidationError(f"The body is no JSON: {wrong}.") from wrong


async def _read(request: Request, form: type[FormT]) -> FormT:
    try:
        return form.model_validate(await _json(request))
    except pydantic.ValidationError as wrong:
        problems: Sequence[Any] = wrong.errors(include_url=False, include_input=False)
        told = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in problems)
        raise ValidationError(f"{told}. See docs/simulator.md.") from wrong


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def parse_time(text: str) -> datetime:
    """An ISO 8601 time with its zone; raises ``ValidationError``."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise ValidationError(f"'{text}' is no time. Write it as 2026-05-28T14:00:00Z.") from wrong
    if at.tzinfo is None:
        raise ValidationError(f"'{text}' has no zone. Write it as 2026-05-28T14:00:00Z.")
    return at
