"""The clock and the mask: what leaves a guarded block, and that the task is left as it was."""

import asyncio
import logging

import pytest

from lakefront.errors import BadRequest, InternalError, OperationTimeout
from lakefront.graphql.guard import Guard

TRACE = "0" * 31 + "1"


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@pytest.mark.parametrize("error", [BadRequest("no"), StopAsyncIteration(), GeneratorExit()])
async def test_what_is_ours_comes_out_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)), Guard(TRACE, 1):
        raise error


@pytest.mark.parametrize("error", [ValueError("secret"), TimeoutError("secret"), asyncio.CancelledError("secret")])
async def test_what_is_strange_is_logged_and_masked(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(InternalError, match=r"^(?!.*secret)"), Guard(TRACE):
        raise error
    assert TRACE in caplog.text
    assert cancelling() == 0


async def test_out_of_time() -> None:
    with pytest.raises(OperationTimeout), Guard(TRACE, 0.01):
        await asyncio.sleep(5)
    assert cancelling() == 0
    await asyncio.sleep(0)


async def test_in_time_the_clock_is_stopped() -> None:
    with Guard(TRACE, 0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    assert cancelling() == 0


async def test_an_answer_in_spite_of_the_clock_is_one() -> None:
    with Guard(TRACE, 0.01):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(5)
        answer = 1
    assert answer == 1
    assert cancelling() == 0


@pytest.mark.parametrize("seconds", [None, 0.01, 5])
async def test_who_is_cancelled_is_cancelled_whatever_the_clock_says(seconds: float | None) -> None:
    entered = asyncio.Event()

    async def run() -> None:
        with Guard(TRACE, seconds):
            entered.set()
            try:
                await asyncio.sleep(0 if seconds is None else 5)
            finally:
                await asyncio.sleep(0)
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)

    task = asyncio.create_task(run())
    await entered.wait()
    if seconds == 5:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_in_another_tells_its_own_time() -> None:
    with Guard(TRACE, 5):
        with pytest.raises(OperationTimeout), Guard(TRACE, 0.01):
            await asyncio.sleep(5)
        await asyncio.sleep(0)
    with pytest.raises(OperationTimeout), Guard(TRACE, 0.01), Guard(TRACE, 5):
        await asyncio.sleep(5)
    assert cancelling() == 0
