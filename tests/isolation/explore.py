"""Hypothesis over checks that are coroutines: it draws in a thread, they run on the test's loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Example = TypeVar("Example")

TIMES = int(os.environ.get("LAKEFRONT_ISOLATION", "1"))
"""How many times as many examples as in `make test`; more than 1 draws other ones in each run, too."""


async def explore(
    strategy: st.SearchStrategy[Example],
    check: Callable[[Example], Awaitable[None]],
    *,
    examples: int,
    shrink: bool = True,
) -> None:
    """Check that many examples; raises what ``check`` raised of the least one that hypothesis finds."""
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=examples * TIMES,
        database=None,
        deadline=None,
        derandomize=TIMES == 1,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def run(example: Example) -> None:
        asyncio.run_coroutine_threadsafe(_awaited(check, example), loop).result()

    await asyncio.to_thread(run)


async def _awaited(check: Callable[[Example], Awaitable[None]], example: Example) -> None:
    await check(example)
