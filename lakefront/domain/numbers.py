"""JSON numbers that cost far more than their few bytes: those with an exponent.

Near the limits of a double msgspec takes 10 µs for one (0.05 µs for others): a megabyte of them stops everybody for two
seconds. And PostgreSQL writes every number of a ``jsonb`` out: ``1e300`` comes back with 301 digits.
"""

import re
from itertools import islice
from typing import Final

import msgspec

MOST_EXTREME: Final = 2000
"""Numbers near the limits of a double that one text may hold: some 20 ms of decoding."""

_EXTREME: Final = re.compile(rb"[eE][+-]?0*[23]\d\d(?!\d)")
_EXPONENT: Final = re.compile(rb"\de[+-](\d{1,3})(?!\d)")


def decodes_slowly(text: bytes | msgspec.Raw) -> bool:
    """Whether the JSON ``text`` has over MOST_EXTREME numbers of the slow kind; what looks like one counts, too."""
    if len(memoryview(text)) < 5 * MOST_EXTREME:
        return False
    return next(islice(_EXTREME.finditer(text), MOST_EXTREME, None), None) is not None


def written_out(canonical: bytes) -> int:
    """Bytes, at most, of orjson's text ``canonical`` once PostgreSQL has written its numbers out."""
    return len(canonical) + sum(int(exponent) for exponent in _EXPONENT.findall(canonical))
