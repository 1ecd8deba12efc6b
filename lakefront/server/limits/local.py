"""The windows and buckets of this process alone, for while Redis is away."""

import time
from collections import OrderedDict, deque
from math import ceil
from typing import Final

from limits import RateLimitItem

from lakefront.server.limits.shared import CRUMB, Taken

MOST_WINDOWS: Final = 10_000
"""Windows that are kept; past that the one that was used longest ago is forgotten."""


class LocalWindows:
    """Moving windows in memory, by the same rule as the shared ones, and bounded.

    The library's ``MemoryStorage`` is neither: it sends every window it has through a thread, again and again.
    """

    def __init__(self, most: int = MOST_WINDOWS) -> None:
        self._most = most
        self._windows: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str, item: RateLimitItem, amount: int, owed: int = 0) -> Taken:
        """Take ``amount`` from the window ``key`` if it has room for all of it; ``owed`` first, room or not."""
        now, seconds = time.monotonic(), item.get_expiry()
        # The oldest entry is the first.
        entries = self._windows.setdefault(key, deque())
        self._windows.move_to_end(key)
        while entries and entries[0] <= now - seconds:
            entries.popleft()
        entries.extend([now] * min(owed, item.amount))
        while len(entries) > item.amount:
            entries.popleft()
        too_many = len(entries) + amount - item.amount
        wait = None
        if amount == 0 or too_many <= 0:
            entries.extend([now] * amount)
        else:
            wait = entries[too_many - 1] + seconds - now if too_many <= len(entries) else float(seconds)
        if len(self._windows) > self._most:
            self._windows.popitem(last=False)
        return Taken(wait, len(entries), (entries[0] if entries else now) + seconds - now)


class LocalBuckets:
    """Buckets in memory, by the same rule as the shared ones, and bounded: each is the time when it is full again."""

    def __init__(self, most: int = MOST_WINDOWS) -> None:
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, item: RateLimitItem, amount: int, owed: int = 0) -> Taken:
        """Take ``amount`` from the bucket ``key`` if that much is in it; ``owed`` first, in it or not."""
        now, each = time.monotonic(), item.get_expiry() / item.amount
        full_at = max(self._full_at.get(key, now), now) + owed * each
        over = (full_at - now) / each + amount - item.amount
        wait = over * each if amount and over > CRUMB else None
        if wait is None or owed:
            full_at += amount * each if wait is None else 0
            self._full_at[key] = full_at
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return Taken(wait, ceil((full_at - now) / each - CRUMB), full_at - now)
