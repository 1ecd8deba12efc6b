"""Which benefits a household may be eligible for, as its city says (C6). Nothing of it is kept, here or in a log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError as FormError
from pydantic.alias_generators import to_camel

from lakefront.actor import BENEFITS_SCREEN, Actor
from lakefront.adapters.benefits import BenefitEligibility, BenefitScreener, Household, check_household
from lakefront.domain import integrations
from lakefront.domain.cities import invalid
from lakefront.domain.integrations.trial import Calling
from lakefront.errors import NotConfigured, ValidationError


@dataclass(frozen=True, slots=True)
class Screening:
    """What a household may be eligible for, and when that was said. It is asked anew each time."""

    programmes: list[BenefitEligibility]
    as_of: datetime


def household_of(given: Mapping[str, Any]) -> Household:
    """The household; raises ``ValidationError``, which names the fields to correct and none of their values."""
    try:
        return Household.model_validate(given)
    except FormError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    details = [
        {"field": ".".join(("household", *(to_camel(str(part)) for part in each["loc"]))), "message": f"{each['msg']}."}
        for each in found[:20]
    ]
    raise ValidationError(
        "The household cannot be screened like this: see details for what to correct.", details=details
    )


async def screen(
    parts: Calling, actor: Actor, household: Household, city: str | None = None, *, trace_id: str = ""
) -> Screening:
    """What the household may be eligible for; without a ``city`` in the one that screens, if there is just one such.

    Needs the scope benefits:screen. Raises ``Forbidden``, ``ValidationError`` for a household that is not whole,
    ``NotConfigured``, ``Unavailable``, and what a call of an adapter does.
    """
    actor.require(BENEFITS_SCREEN)
    check_household(household)
    screener = await _screener(parts, actor.tenant, city)
    found = await screener.screen(household, trace_id=trace_id)
    return Screening(found, datetime.now(UTC))


async def _screener(parts: Calling, tenant: str, city: str | None) -> BenefitScreener:
    kinds = {kind.provider: kind for kind in integrations.available() if issubclass(kind, BenefitScreener)}
    endpoints = await parts.endpoints.all(tenant)
    found = [endpoint for key, endpoint in endpoints.items() if key.provider in kinds and city in (None, key.city)]
    if not found:
        raise NotConfigured(
            "No screening of benefits is set up here for that city, or it is disabled. An operator has to: "
            "upsertIntegration."
        )
    if len(found) > 1 and city is None:
        raise invalid("city", "Several cities screen households here: say which is meant.")
    return kinds[found[0].provider](found[0], parts.calls)
