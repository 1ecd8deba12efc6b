"""From the text of one cell to a JSON value. Every function takes stripped, non-empty text and raises ``CellError``."""

import re
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("America/Los_Angeles")
"""The zone of every time that San Francisco publishes without one."""

INT4_MAX: Final = 2**31 - 1

_DATE = re.compile(r"(\d{2})/(\d{2})/(\d{4})(?: (\d{2}):([0-5]\d):([0-5]\d) ([AP])M)?", re.ASCII)
_AMOUNT = re.compile(r"\$?(\d+|\d{1,3}(?:,\d{3})+)(\.\d+)?", re.ASCII)
_COUNT = re.compile(r"(\d+)(?:\.0+)?", re.ASCII)
_DEGREES = re.compile(r"-?\d{1,3}(\.\d+)?", re.ASCII)
_POINT = re.compile(r"POINT ?\((-?\d{1,3}(?:\.\d+)?) (-?\d{1,2}(?:\.\d+)?)\)", re.ASCII)


class CellError(ValueError):
    """The cell cannot be read; the message completes the sentence "the cell …"."""


def text(cell: str, limit: int = 200) -> str:
    """Return the text itself, if the log can keep it: valid UTF-8 without NUL, at most ``limit`` characters."""
    if len(cell) > limit:
        raise CellError(f"is longer than {limit:,} characters")
    if "\0" in cell:
        raise CellError("holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in cell):
        raise CellError("is not valid UTF-8")
    return cell


words = partial(text, limit=20_000)
"""A longer text, as descriptions are."""

name = partial(text, limit=100)
"""A shorter one: what identifies a thing, and statuses."""


def instant(cell: str, zone: ZoneInfo = ZONE) -> str:
    """Return a local time, or a date as its local midnight, as RFC 3339 in UTC: ``2024-01-15T18:30:00Z``.

    A time that the clocks show twice in autumn is taken as the first of the two (``fold=0``); one that they skip in
    spring is shifted forward by the gap, as ``zoneinfo`` does (02:30 becomes 03:30 daylight time).
    """
    try:
        return _local(cell, zone).astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        raise CellError("lies after the year 9999 in UTC") from None


def day(cell: str) -> str:
    """Return the date of a local time: ``2024-01-15``."""
    return _local(cell, ZONE).date().isoformat()


def _local(cell: str, zone: ZoneInfo) -> datetime:
    found = _DATE.fullmatch(cell)
    if found is None:
        raise CellError("is not a date like 01/31/2024, nor a time like 01/31/2024 02:30:00 PM")
    month, day_of_month, year, hour, minute, second, half = found.groups()
    if hour is not None and not 1 <= int(hour) <= 12:
        raise CellError("has an hour outside 1 to 12")
    hours = int(hour or 0) % 12 + (12 if half == "P" else 0)
    try:
        return datetime(
            int(year), int(month), int(day_of_month), hours, int(minute or 0), int(second or 0), tzinfo=zone
        )
    except ValueError:
        raise CellError("is a date that no calendar has") from None


def dollars(cell: str) -> int:
    """Return whole dollars, halves rounded up; nothing negative, at most 2,147,483,647 (int4)."""
    found = _AMOUNT.fullmatch(cell)
    if found is None:
        raise CellError("is not an amount in dollars")
    whole = _int4(found[1].replace(",", ""))
    half = found[2] is not None and found[2][1] >= "5"
    return _int4(str(whole + half))


def count(cell: str) -> int:
    """Return a whole number from 0 to 2,147,483,647 (int4)."""
    found = _COUNT.fullmatch(cell)
    if found is None:
        raise CellError("is not a whole number")
    return _int4(found[1])


def _int4(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    if len(significant) > 10 or int(significant) > INT4_MAX:
        raise CellError(f"is greater than {INT4_MAX:,}")
    return int(significant)


def flag(cell: str) -> bool:
    """Return whether the cell is ``Y``; it must be that or ``N``."""
    if cell not in ("Y", "N"):
        raise CellError("is neither Y nor N")
    return cell == "Y"


def degrees(cell: str, most: int = 180) -> float:
    """Return degrees from -``most`` to ``most``."""
    if not _DEGREES.fullmatch(cell) or abs(float(cell)) > most:
        raise CellError(f"is no number of degrees from -{most} to {most}")
    return float(cell)


def point(cell: str) -> tuple[float, float]:
    """Return ``POINT (longitude latitude)``, in degrees, as (longitude, latitude)."""
    found = _POINT.fullmatch(cell)
    if found is None:
        raise CellError("is not a point like POINT (-122.4 37.8)")
    longitude, latitude = float(found[1]), float(found[2])
    if abs(longitude) > 180 or abs(latitude) > 90:
        raise CellError("is not a place on Earth")
    return longitude, latitude
