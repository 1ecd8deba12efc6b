r"""Opaque texts: cursors bound to an order, and global Node ids.

Both are base64url (without padding) of a JSON array in the form of PostgreSQL's ``json_build_array``, so that SQL
can write the same: ``translate(encode(convert_to(json_build_array(…)::text, 'UTF8'), 'base64'), E'+/=\n', '-_')``.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from lakefront.db.database import Row
from lakefront.db.query import Key, OrderKey, Position, Source
from lakefront.db.query.values import from_json
from lakefront.graphql.declare.operators import refused


def encode(values: Sequence[Any]) -> str:
    """``values`` (JSON) as one opaque text."""
    text = json.dumps(list(values), ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> list[Any]:
    """The values of an opaque text; raises ``ValueError`` for any other text."""
    try:
        values = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (Error, ValueError, RecursionError) as error:
        raise ValueError("not one of ours") from error
    if not isinstance(values, list) or not values:
        raise ValueError("not one of ours")
    return values


def fingerprint(source: Source, order: Sequence[OrderKey]) -> str:
    """What a cursor is bound to: the source and its order."""
    parts = [source.name, *(f"{key.column} {key.descending:d}{key.nulls_first:d}" for key in order)]
    return blake2b(",".join(parts).encode(), digest_size=6).hexdigest()


def cursor(source: Source, order: Sequence[OrderKey], row: Row) -> str:
    """Where ``row`` stands in ``order``."""
    return encode([fingerprint(source, order), *(row[key.column] for key in order)])


def read_cursor(source: Source, order: Sequence[OrderKey], text: str, path: str) -> Position:
    """The position that a cursor means; raises ``ValidationError`` for one of another order or type, or made up."""
    try:
        mark, *values = decode(text)
    except ValueError:
        raise refused(path, "This is no cursor of this server. Take one from pageInfo or an edge, as it is.") from None
    if mark != fingerprint(source, order):
        raise refused(path, "This cursor belongs to another field or another orderBy. Use it with those it came from.")
    try:
        pairs = zip(order, values, strict=True)
        return tuple(from_json(source.column(key.column).type, value) for key, value in pairs)
    except ValueError:
        raise refused(path, "This is no cursor of this server. Take one from pageInfo or an edge, as it is.") from None


def node_id(name: str, key: Key) -> str:
    """The global id of the row of type ``name`` with ``key``."""
    return encode([name, *key])


def read_node_id(text: str, path: str) -> tuple[str, Key]:
    """The type's name and the key of a global id; raises ``ValidationError`` for a malformed one."""
    try:
        name, *key = decode(text)
    except ValueError:
        raise refused(path, "This is no id of this server. Use the field id of an object, as it is.") from None
    return str(name), tuple(key)
