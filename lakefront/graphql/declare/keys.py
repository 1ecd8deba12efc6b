"""Keys of rows, as clients name them."""

from collections.abc import Sequence
from typing import Any

from lakefront.db.query import Key, Source
from lakefront.db.query.values import from_json


def read_key(source: Source, values: Sequence[Any]) -> Key | None:
    """The key that ``values`` (JSON forms) mean; ``None`` where no row of ``source`` can have it."""
    if len(values) != len(source.key):
        return None
    try:
        types = (source.column(name).type for name in source.key)
        return tuple(from_json(type_, value) for type_, value in zip(types, values, strict=True))
    except ValueError:
        return None
