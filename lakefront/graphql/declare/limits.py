"""How many rows one may ask for at once."""

from typing import Final

from lakefront.graphql.declare.operators import refused

FIRST: Final = 20
"""Rows of a page when neither ``first`` nor ``last`` is given."""
MOST: Final = 1000
"""Rows of a page at most."""


def row_limit(name: str, value: int | None) -> int:
    """How many rows the argument ``name`` asks for; raises ``ValidationError``."""
    if value is None:
        return FIRST
    if not 0 <= value <= MOST:
        raise refused(name, f"Ask for 0 to {MOST} rows at once; go on with the page's cursors.")
    return value
