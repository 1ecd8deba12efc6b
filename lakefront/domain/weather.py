"""The weather, which nobody waits for long and everybody can do without (C8): what was told last is told as stale."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from lakefront.actor import PLACES_READ, Actor
from lakefront.adapters.dto import Point
from lakefront.adapters.providers.openweather import OpenWeather
from lakefront.adapters.weather import Weather
from lakefront.domain import integrations
from lakefront.domain.answers import Answers, Told, key_of
from lakefront.domain.integrations.trial import Calling

FRESH: Final = 600.0
"""Seconds: more often they do not look at the sky either."""
KEPT: Final = 6 * 3600.0
"""Seconds for which it is better than nothing."""


class Parts(Calling, Protocol):
    """What this takes of ``Services``."""

    @property
    def answers(self) -> Answers:
        """What is known already."""


@dataclass(frozen=True, slots=True)
class Report:
    """The weather, when it was asked for, and whether nothing newer was to be had."""

    weather: Weather
    as_of: datetime
    stale: bool


async def weather(parts: Parts, actor: Actor, point: Point, *, trace_id: str = "") -> Report:
    """The weather at ``point``, to a hundredth of a degree (a kilometre): neighbours share one call.

    Needs the scope places:read. Where OpenWeather fails or is slow, what it told within six hours, as stale; where
    there is none, raises what a call raises. Raises ``NotConfigured`` where it is not set up, ``Forbidden``.
    """
    actor.require(PLACES_READ)
    point = Point(latitude=round(point.latitude, 2), longitude=round(point.longitude, 2))
    adapter = await integrations.adapter(parts, OpenWeather, actor.tenant)

    async def ask() -> Told:
        told = await adapter.current(point, trace_id=trace_id)
        return Told(told.model_dump_json().encode(), FRESH, KEPT)

    question = (adapter.endpoint.version, point.latitude, point.longitude)
    key = key_of(actor.tenant, "weather", question, form=Weather.model_fields)
    known = await parts.answers.one(key, ask)
    told = Weather.model_validate_json(bytes(known.body))
    return Report(told, datetime.fromtimestamp(known.as_of, UTC), known.stale)
