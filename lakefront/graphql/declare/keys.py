"""Keys of rows, as clients name them."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy.types import TypeEngine

from lakefront.db.query import Key, Source
from lakefront.db.query.values import from_json


def read_key(source: Source, values: Sequence[Any]) -> Key | None:
    """The key that ``values`` (JSON forms) mean; ``None`` where no row of ``source`` can have it."""
    if len(values) != len(source.key):
        return None
    try:
        return tuple(from_json(type_, value) for type_, value in zip(_types(source), values, strict=True))
    except ValueError:
        return None


@cache
def _types(source: Source) -> tuple[TypeEngine[Any], ...]:
    """The types of the key's columns; there are as many sources as tables."""
    return tuple(source.column(name).type for name in source.key)
