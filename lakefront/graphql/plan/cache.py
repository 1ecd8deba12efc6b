"""Bounded memories: what was used longest ago goes first, and what happens in them is counted."""

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """At most ``size`` bytes of values, as ``weigh`` takes them to be; one larger than that is not kept."""

    def __init__(self, size: int, weigh: Callable[[V], int]) -> None:
        self.hits = self.misses = self.evictions = 0
        self._kept: LRUCache[K, V] = _Counted(self, size, weigh)

    def get(self, key: K) -> V | None:
        """The value of ``key``, if it is kept."""
        try:
            value = self._kept[key]  # one look: keys are made of much, and hashed at each
        except KeyError:
            self.misses += 1
            return None
        self.hits += 1
        return value

    def peek(self, key: K) -> V | None:
        """As ``get``, by somebody who is not to be counted: it is asked for again."""
        value: V | None = self._kept.get(key)
        return value

    def put(self, key: K, value: V) -> V:
        """Keep ``value``, and return it."""
        if self._kept.getsizeof(value) <= self._kept.maxsize:
            self._kept[key] = value
        return value

    def __len__(self) -> int:
        return len(self._kept)


class _Counted(LRUCache[Any, Any]):
    """Tells its owner of every eviction."""

    def __init__(self, owner: Cache[Any, Any], size: int, weigh: Callable[[Any], int]) -> None:
        super().__init__(size, weigh)
        self._owner = owner

    def popitem(self) -> tuple[Any, Any]:
        self._owner.evictions += 1
        return super().popitem()
