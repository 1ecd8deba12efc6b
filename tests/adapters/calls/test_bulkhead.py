"""The bulkhead: never more at once, and nobody waits for ever, in whatever way they leave."""

import asyncio

import pytest

from lakefront.adapters.calls.bulkhead import Bulkhead, Full


async def test_never_more_at_once_than_there_are_rooms() -> None:
    bulkhead = Bulkhead(3, waiting=100, patience=5)
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        async with bulkhead:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.002)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(30)))
    assert most == 3


async def test_who_waits_too_long_is_turned_away_and_takes_no_room() -> None:
    bulkhead = Bulkhead(1, waiting=10, patience=0.02)
    async with bulkhead:
        with pytest.raises(Full):
            async with bulkhead:
                pass
    async with bulkhead:
        pass


async def test_a_full_queue_turns_away_at_once() -> None:
    bulkhead = Bulkhead(1, waiting=1, patience=60)
    async with bulkhead:
        waits = asyncio.create_task(bulkhead.__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(Full):
            async with asyncio.timeout(1), bulkhead:
                pass
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
    async with asyncio.timeout(1), bulkhead:  # whoever gave up waiting has no room
        pass
