"""The generator's dice: plain numbers from hypothesis, all of which shrink towards the first and the least."""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis.internal.conjecture.data import ConjectureData

T = TypeVar("T")


class Choices:
    """Choices of one example.

    Straight from hypothesis's engine: strategies inside strategies cost as much as running the operation does, and the
    engine would repeat their parts, which makes the same operation again and again.
    """

    def __init__(self, data: ConjectureData) -> None:
        self._data = data

    def number(self, least: int, most: int) -> int:
        """From ``least`` to ``most``, both included."""
        return least if least == most else self._data.draw_integer(least, most, shrink_towards=least)

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``."""
        return items[self.number(0, len(items) - 1)]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return percent > 0 and self.number(0, 99) >= 100 - percent

    def several(self, items: Sequence[T], least: int, most: int) -> list[T]:
        """So many different ones of ``items``, as far as there are, in any order."""
        left = list(items)
        count = self.number(min(least, len(left)), min(most, len(left)))
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(count)]
