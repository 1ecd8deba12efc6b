"""Hypothesis over checks that are coroutines: it draws in a thread, they run on the caller's loop."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.strategies import SearchStrategy

from tests.graphql.fuzz.operations import Drawn

MARGIN = 1.5
"""How many more are drawn than needed: hypothesis draws some twice, which are not counted."""


async def explore(
    strategy: SearchStrategy[Drawn], check: Callable[[Drawn], Awaitable[None]], *, count: int, seed: int
) -> int:
    """Check ``count`` different operations; raises what ``check`` raised of the least one that is found.

    The same seed gives the same operations, as long as schema, rows and generator stay.
    """
    loop = asyncio.get_running_loop()
    seen: set[str] = set()
    failed: list[Drawn] = []

    @seeded(seed)
    @settings(
        max_examples=int(count * MARGIN),
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def run(drawn: Drawn) -> None:
        asked = repr(drawn)
        if asked in seen and not failed:
            return
        if len(seen) >= count and not failed:
            return
        seen.add(asked)
        try:
            asyncio.run_coroutine_threadsafe(_awaited(check, drawn), loop).result()
        except BaseException:
            failed.append(drawn)
            raise

    await asyncio.to_thread(run)
    return len(seen)


async def _awaited(check: Callable[[Drawn], Awaitable[None]], drawn: Drawn) -> None:
    await check(drawn)
