"""The base of what adapters answer: frozen, finite, and free of what the provider added since."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field


class Dto(BaseModel):
    """What an adapter answers, whichever provider it was."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Wire(BaseModel):
    """What a provider sends: the members that are read of it, named as in the DTO. Others may come and go."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, coerce_numbers_to_str=True)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]
"""A time in UTC: from ISO 8601, which without a zone is UTC, or seconds since 1970."""


class Point(Dto):
    """A place on earth, in degrees (WGS 84)."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


def found_at(*paths: str, **field: Any) -> Any:
    """A member of a ``Wire`` that is found at the first of these ``paths`` that there is: ``main.temp``, ``weather.0``.

    So a provider's field map is one screen, also where its versions differ.
    """
    return Field(validation_alias=AliasChoices(*map(_path, paths)), **field)


def _path(text: str) -> AliasPath:
    first, *rest = text.split(".")
    return AliasPath(first, *(int(part) if part.isdecimal() else part for part in rest))
