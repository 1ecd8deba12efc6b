"""Texts that are at hand: those used last, within a number of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

OVERHEAD: Final = 200
"""Bytes that an entry costs beside its text."""


class Texts(Generic[Key]):
    """The texts used last, of at most ``limit`` bytes together."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._texts: OrderedDict[Key, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, key: Key) -> str | None:
        """The text under ``key``, if it is at hand."""
        text = self._texts.get(key)
        if text is not None:
            self._texts.move_to_end(key)
        return text

    def put(self, key: Key, text: str) -> None:
        """Have ``text`` at hand; what was not used for longest makes room for it."""
        if key in self._texts:
            self._texts.move_to_end(key)
            return
        self._texts[key] = text
        self._left -= _size(text)
        while self._left < 0:
            _, dropped = self._texts.popitem(last=False)
            self._left += _size(dropped)


def _size(text: str) -> int:
    # A character is at most four bytes in memory, and one in nearly every document.
    return len(text) + OVERHEAD
