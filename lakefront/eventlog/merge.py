"""One order over shards: always the earliest head next. It depends on the position alone, not on where a page began."""

from collections.abc import Mapping, Sequence

from lakefront.eventlog.events import Event, Offsets, Page


def merge(after: Offsets, shards: Mapping[int, Sequence[Event]], more: set[int], limit: int) -> Page:
    """A page of at most ``limit`` events out of ``shards``: in each shard by offset, without gaps, from ``after`` on.

    Over shards the order is that of (ingested_at, shard, offset) among the heads, so that a clock that went back never
    breaks a shard's own order. ``more`` names the shards of which further events are stored: when one of them runs out,
    the page ends, as its next event may be the earliest. The position moves over what is returned and nothing else.
    """
    position = dict(after)
    page = _by_heads(shards, more, limit)
    for event in page:
        position[event.shard] = event.offset + 1
    return Page(page, position)


def _by_heads(shards: Mapping[int, Sequence[Event]], more: set[int], limit: int) -> list[Event]:
    waiting = {shard: iter(events) for shard, events in shards.items()}
    heads = {shard: next(events, None) for shard, events in waiting.items()}
    page: list[Event] = []
    while len(page) < limit:
        first: Event | None = None
        for shard, head in heads.items():
            if head is None:
                if shard in more:
                    return page
            elif first is None or (head.ingested_at, head.shard) < (first.ingested_at, first.shard):
                first = head
        if first is None:
            return page
        page.append(first)
        heads[first.shard] = next(waiting[first.shard], None)
    return page
