"""Keys of rows, as clients name them."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from lakefront.db.query import Key, Source
from lakefront.db.query.values import reader


def read_key(source: Source, values: Sequence[Any]) -> Key | None:
    """The key that ``values`` (JSON forms) mean; ``None`` where no row of ``source`` can have it."""
    if len(values) != len(source.key):
        return None
    try:
        return tuple([read(value) for read, value in zip(_readers(source), values, strict=True)])
    except ValueError:
        return None


@cache
def _readers(source: Source) -> tuple[Callable[[Any], Any], ...]:
    """What reads the values of the key's columns; there are as many sources as tables."""
    return tuple(reader(source.column(name).type) for name in source.key)
