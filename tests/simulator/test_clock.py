"""The city's clock."""

import asyncio
from datetime import timedelta

import pytest

from lakefront.simulator.clock import Clock
from tests.simulator.conftest import START


async def test_it_runs_in_real_time_and_can_be_moved() -> None:
    clock = Clock(START)
    await asyncio.sleep(0.05)
    assert timedelta(seconds=0.04) < clock.now() - START < timedelta(seconds=2)
    clock.advance(-3600)
    assert clock.now() < START


async def test_it_runs_faster_from_now_on() -> None:
    clock = Clock(START, speed=0)
    assert clock.now() == START
    clock.run_at(1000)
    await asyncio.sleep(0.05)
    assert clock.now() - START > timedelta(seconds=40)
    clock.run_at(0)
    stopped = clock.now()
    await asyncio.sleep(0.01)
    assert clock.now() == stopped


def test_it_can_be_wrong_for_a_while() -> None:
    clock = Clock(START, speed=0)
    with clock.skewed(60):
        assert clock.now() - START == timedelta(seconds=60)
    assert clock.now() == START
    with pytest.raises(ZeroDivisionError), clock.skewed(60):
        raise ZeroDivisionError
    assert clock.now() == START
