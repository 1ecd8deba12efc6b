"""JSON numbers that no reader takes as they are, or that cost far more than their few bytes.

Integers beyond 64 bits: most clients make them floats, orjson refuses them. And those with an exponent.

Near the limits of a double msgspec takes 10 µs for one (0.05 µs for others): a megabyte of them stops everybody for two
seconds. And PostgreSQL writes every number of a ``jsonb`` out: ``1e300`` comes back with 301 digits.
"""

import re
from itertools import islice
from typing import Any, Final

import msgspec

MOST_EXTREME: Final = 2000
"""Numbers near the limits of a double that one text may hold: some 20 ms of decoding."""

_EXTREME: Final = re.compile(rb"[eE][+-]?0*[23]\d\d(?!\d)")
_EXPONENT: Final = re.compile(rb"\de[+-]?(\d{1,3})(?!\d)")


_DIGITS: Final = bytes(ord("0") if chr(byte).isdecimal() and byte < 128 else ord(" ") for byte in range(256))


def has_long_digits(text: bytes) -> bool:
    """Whether ``text`` has 19 digits in a row somewhere, as only very large integers and some strings have."""
    return b"0" * 19 in text.translate(_DIGITS)


def has_big_integer(value: Any) -> bool:
    """Whether the parsed JSON ``value`` has an integer that neither 64 signed nor 64 unsigned bits hold."""
    if isinstance(value, dict):
        return any(has_big_integer(item) for item in value.values())
    if isinstance(value, list):
        return any(has_big_integer(item) for item in value)
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def decodes_slowly(text: bytes | msgspec.Raw) -> bool:
    """Whether the JSON ``text`` has over MOST_EXTREME numbers of the slow kind; what looks like one counts, too."""
    if len(memoryview(text)) < 5 * MOST_EXTREME:
        return False
    return next(islice(_EXTREME.finditer(text), MOST_EXTREME, None), None) is not None


def written_out(canonical: bytes) -> int:
    """Bytes, at most, of the JSON text ``canonical`` once PostgreSQL has written its numbers out."""
    return len(canonical) + sum(int(exponent) for exponent in _EXPONENT.findall(canonical))
