"""``make fuzz``: many more operations than the tests run, other ones with each seed, up to the first difference."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import asyncpg

from lakefront.db.embedded import EmbeddedPostgres
from lakefront.db.migrate import migrate
from tests.graphql.fuzz.compare import Difference, compare
from tests.graphql.fuzz.explore import explore
from tests.graphql.fuzz.live import Subscriptions, compare_live
from tests.graphql.fuzz.operations import Drawn, Queries
from tests.graphql.fuzz.world import ASKERS, World, world

BATCH = 500
"""Operations at a time: hypothesis remembers all that it drew."""


def main() -> None:
    """Run it; exit 1 at the first difference, told with what shows it again."""
    parser = argparse.ArgumentParser(prog="python -m tests.graphql.fuzz", description=__doc__)
    parser.add_argument("--operations", type=int, default=50_000, help="how many, over all who ask")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed draws the same operations")
    parser.add_argument("--asker", choices=ASKERS, help="only as this one")
    given = parser.parse_args()
    askers = [given.asker] if given.asker else list(ASKERS)
    sys.exit(asyncio.run(_main(given.operations, given.seed, askers)))


async def _main(operations: int, seed: int, askers: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="lf-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres", parameters={"fsync": "off", "full_page_writes": "off"})
        await postgres.start()
        try:
            server = await asyncpg.connect(postgres.dsn("postgres"))
            await server.execute("CREATE DATABASE fuzz")
            await server.close()
            await migrate(postgres.dsn("fuzz"))
            async with world(postgres.dsn("fuzz"), folder / "objects") as made:
                return await _fuzz(made, operations, seed, askers)
        finally:
            await postgres.stop()


async def _fuzz(made: World, operations: int, seed: int, askers: list[str]) -> int:
    ran: Counter[str] = Counter()
    began, batch = time.monotonic(), 0
    while (left := operations - ran.total()) > 0:
        asker, batch_seed = askers[batch % len(askers)], seed + batch // len(askers)

        async def check(drawn: Drawn, asker: str = asker) -> None:
            ran.update(await compare(made, ASKERS[asker], drawn))

        async def check_live(drawn: Drawn, asker: str = asker) -> None:
            ran.update(await compare_live(made, ASKERS[asker], drawn))

        parts = made.facts(ASKERS[asker]), made.pools
        try:
            await explore(Queries(*parts), check, count=min(BATCH, left), seed=batch_seed)
            await explore(Subscriptions(*parts), check_live, count=min(BATCH, left) // 10, seed=batch_seed)
        except Difference as difference:
            print(difference)
            again = f"--operations {BATCH} --seed {batch_seed} --asker {asker}"
            print(f"Run it again: python -m tests.graphql.fuzz {again}")
            return 1
        batch += 1
        shares = ", ".join(f"{name} {count / ran.total():.0%}" for name, count in sorted(ran.items()))
        rate = ran.total() / (time.monotonic() - began)
        print(f"{ran.total():,} of {operations:,} ({rate:.0f}/s, seed {batch_seed}, {asker}): {shares}", flush=True)
    return 0


main()
