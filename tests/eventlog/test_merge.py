"""The merge of shards: whatever the clocks did, in order per shard, without gap or double, the same on any pages."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lakefront.eventlog.events import Event
from lakefront.eventlog.merge import merge

START = datetime(2024, 1, 1, tzinfo=UTC)

clocks = st.lists(st.integers(0, 5), max_size=12)
shards = st.dictionaries(st.integers(0, 3), clocks, min_size=1, max_size=4)


def stored(clocks: dict[int, list[int]]) -> dict[int, list[Event]]:
    return {
        shard: [made(shard, offset, START + timedelta(seconds=at)) for offset, at in enumerate(times)]
        for shard, times in clocks.items()
    }


def made(shard: int, offset: int, ingested_at: datetime) -> Event:
    return Event(
        shard, offset, f"{shard}-{offset}", "type", "key", START, ingested_at, {}, "trace", None, "1.0", "test"
    )


def read(
    log: dict[int, list[Event]], after: dict[int, int], each: int, limit: int
) -> tuple[list[Event], dict[int, int]]:
    """One page as a driver reads it: ``each`` events of every shard."""
    parts = {shard: part[after.get(shard, 0) :][:each] for shard, part in log.items()}
    more = {shard for shard, part in parts.items() if part and part[-1].offset + 1 < len(log[shard])}
    page = merge(after, parts, more, limit)
    return page.events, page.position


@given(clocks=shards, sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 8)), min_size=1))
def test_any_pages_give_the_one_order(clocks: dict[int, list[int]], sizes: list[tuple[int, int]]) -> None:
    log = stored(clocks)
    whole, end = read(log, {}, 100, 100)
    assert len(whole) == sum(map(len, log.values()))
    for shard, part in log.items():
        assert [event for event in whole if event.shard == shard] == part
    paged: list[Event] = []
    position: dict[int, int] = {}
    step = 0
    while True:
        each, limit = sizes[step % len(sizes)]
        events, moved = read(log, position, each, limit)
        if not events:
            break
        assert len(events) <= limit
        paged, position, step = paged + events, moved, step + 1
    assert paged == whole
    assert position == end


@given(clocks=shards)
def test_good_clocks_are_followed(clocks: dict[int, list[int]]) -> None:
    events, _ = read(stored({shard: sorted(times) for shard, times in clocks.items()}), {}, 100, 100)
    assert events == sorted(events, key=lambda event: (event.ingested_at, event.shard, event.offset))


def test_the_position_keeps_shards_that_gave_nothing() -> None:
    page = merge({0: 3, 5: 7}, {0: [], 5: []}, set(), 10)
    assert (page.events, page.position) == ([], {0: 3, 5: 7})
