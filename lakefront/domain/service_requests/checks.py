"""What may be given of a request, whichever city it is of."""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lakefront.adapters.messages import mail_address, telephone
from lakefront.domain.cities import invalid
from lakefront.domain.service_requests.request import CallerInput, Record, SubmitInput, UpdateInput, member

LONGEST: Final[Mapping[str, int]] = {"description": 4000, "resolution": 16_384, "media_url": 2000}
"""Characters of a text; of all others ``LONG``."""

LONG: Final = 200
MOST_ATTRIBUTES: Final = 100


def check_submission(given: SubmitInput) -> None:
    """Raise ``ValidationError`` for what no city's system could do with."""
    if not given.description.strip():
        raise invalid("description", "Describe what is to be seen to.")
    _check_texts(msgspec.structs.asdict(given))
    if given.caller is not None:
        _check_texts(msgspec.structs.asdict(given.caller), within="caller")
    if given.notify:
        _check_reach(given.caller)
    _check_point(given.latitude, given.longitude)
    if given.media_url is not None:
        _check_url(given.media_url)
    values = [value for each in given.attributes.values() for value in each]
    if len(given.attributes) > MOST_ATTRIBUTES or len(values) > MOST_ATTRIBUTES:
        raise invalid("attributes", f"Give at most {MOST_ATTRIBUTES} attributes, and values of them.")
    if any(_wrong(text, LONG if text in given.attributes else 1000) for text in (*given.attributes, *values)):
        raise invalid("attributes", f"A code has at most {LONG} characters, a value 1000; none of them is NUL.")


def check_update(given: UpdateInput) -> None:
    """Raise ``ValidationError`` for values that nobody could read."""
    _check_texts(msgspec.structs.asdict(given))
    for name in ("description", "external_id"):
        value = getattr(given, name)
        if isinstance(value, str) and not value.strip():
            raise invalid(member(name), "Give it, or leave it out: it cannot be emptied.")
    if isinstance(given.expected_at, datetime):
        _check_moment("expected_at", given.expected_at)


def check_record(given: Record) -> None:
    """Raise ``ValidationError`` for a published row that cannot be kept."""
    if not given.unique_key.strip():
        raise invalid("uniqueKey", "A row without its key cannot be told from others.")
    values = msgspec.structs.asdict(given)
    _check_texts(values)
    _check_point(given.latitude, given.longitude)
    for name, value in values.items():
        if isinstance(value, datetime):
            _check_moment(name, value)


def _check_reach(caller: CallerInput | None) -> None:
    """Raise ``ValidationError`` where who asks to be told could not be."""
    if caller is None or not (caller.email or caller.phone):
        raise invalid("notify", "To be told, give caller.email or caller.phone; or leave notify out.")
    if caller.email:
        mail_address(caller.email, "caller.email")
    if caller.phone:
        telephone(caller.phone, "caller.phone")


def _check_texts(values: Mapping[str, Any], within: str = "") -> None:
    for name, value in values.items():
        most = LONGEST.get(name, LONG)
        if isinstance(value, str) and _wrong(value, most):
            field = f"{within}.{member(name)}" if within else member(name)
            raise invalid(field, f"Give at most {most} characters, none of them NUL.")


def _wrong(text: str, most: int) -> bool:
    """Whether PostgreSQL, or a city, would not take ``text``: halves of surrogate pairs are none of UTF-8."""
    if len(text) > most or "\0" in text:
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_point(latitude: float | None, longitude: float | None) -> None:
    if (latitude is None) != (longitude is None):
        raise invalid("latitude", "Give both, latitude and longitude, or none of them.")
    for field, value, most in (("latitude", latitude, 90.0), ("longitude", longitude, 180.0)):
        if value is not None and not (isfinite(value) and -most <= value <= most):
            raise invalid(field, f"A {field} is -{most:g} to {most:g} degrees.")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isascii() and url.isprintable()
    except ValueError:
        known = False
    if not known:
        raise invalid("mediaUrl", "Give the address of a picture: https://host/path.")


def _check_moment(name: str, at: datetime) -> None:
    if at.tzinfo is None or not 1 < at.year < 9999:
        raise invalid(member(name), "Give a time with its zone: 2026-05-28T14:00:00Z.")
