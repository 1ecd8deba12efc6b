"""Cursors: opaque texts that say where in a stream a reader stands (X1).

base64url of ``[stream, layout, [[shard, offset], …]]`` in its one canonical form. It holds no tenant (that comes from
the Actor alone) and no secret: whoever changes one reads another part of what they may read anyway.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Annotated, Final, NamedTuple

import msgspec

from lakefront.errors import ValidationError
from lakefront.eventlog.events import Offsets

LAYOUT: Final = 1
"""The version of a new stream's layout; another number of shards would be another version."""

MAX_LENGTH: Final = 4096
MAX_SHARDS: Final = 64

_Shard = Annotated[int, msgspec.Meta(ge=0, lt=MAX_SHARDS)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Layout = Annotated[int, msgspec.Meta(ge=1, lt=2**15)]
_Pairs = Annotated[list[tuple[_Shard, _Offset]], msgspec.Meta(max_length=MAX_SHARDS)]

_decoder = msgspec.json.Decoder(tuple[str, _Layout, _Pairs])


class Cursor(NamedTuple):
    """A place in one stream: the layout under which it was made, and shard -> first offset not seen yet."""

    layout: int
    offsets: dict[int, int]


def encode(stream: str, layout: int, offsets: Offsets) -> str:
    """The cursor of ``offsets`` in ``stream``: URL-safe, the same text for the same place."""
    text = msgspec.json.encode((stream, layout, sorted(offsets.items())))
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def decode(stream: str, text: str) -> Cursor:
    """The place that ``text`` names in ``stream``; raises ``ValidationError`` on a foreign or malformed one."""
    if len(text) > MAX_LENGTH:
        raise _malformed()
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        name, layout, pairs = _decoder.decode(data)
    except (UnicodeEncodeError, Base64Error, msgspec.DecodeError, ValueError):
        raise _malformed() from None
    offsets = dict(pairs)
    if encode(name, layout, offsets) != text:
        raise _malformed()
    if name != stream:
        raise ValidationError(f"This cursor belongs to another stream. Use one that came with an event of '{stream}'.")
    return Cursor(layout, offsets)


def _malformed() -> ValidationError:
    return ValidationError("This is not a cursor. Pass one exactly as it came with an event, or leave it out.")
