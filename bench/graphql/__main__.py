"""``python -m bench.graphql``: all of it takes a quarter of an hour; ``--help`` tells how to ask for less."""

import argparse
import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop

from bench.graphql import data, profile, report, sides
from bench.graphql.measure import Plan, check_same, prepared, rounds
from bench.graphql.shapes import SHAPES
from bench.graphql.sides import Side
from lakefront.db.embedded import EmbeddedRedis

IDS = 20_000
"""Different permits that are asked for one by one."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.graphql", description=__doc__)
    names = [shape.name for shape in SHAPES]
    parser.add_argument("--shapes", type=_names(names), default=names, help=f"of {','.join(names)}")
    parser.add_argument("--connections", type=_numbers, default=[1, 16, 64], help="such as 1,16,64")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (2)")
    parser.add_argument("--rounds", type=int, default=5, help="of which medians are told (5)")
    parser.add_argument("--only", type=_names(sides.NAMES), default=list(sides.NAMES), help="such as lakefront,floor")
    parser.add_argument("--limits", choices=("on", "off"), default="on", help="Lakefront's rate limits: high, or off")
    parser.add_argument("--data", type=Path, help="folder that keeps the rows for the next time; temporary if left out")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between runs, for others on this machine (0)")
    parser.add_argument("--first", action="store_true", help="go before all others on this machine (needs root)")
    parser.add_argument("--profile", action="store_true", help="tell where Lakefront's CPU time goes instead")
    return parser.parse_args(arguments)


async def main(asked: argparse.Namespace) -> None:
    """Start what is asked for, measure shape by shape, print tables."""
    server_core, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, others or {server_core})  # ours, and so PostgreSQL's and Redis'
    async with _running(asked, {server_core}) as (running, values):
        if asked.first:
            sides.go_first()
        for shape in (one for one in SHAPES if one.name in asked.shapes):
            chosen = values[shape.values]
            await check_same(running, shape, chosen)
            requests = {side.name: await prepared(side, shape, chosen) for side in running}
            for connections in asked.connections:
                if asked.profile:
                    side = running[0]
                    await profile.show(side, shape, requests[side.name], connections=connections, seconds=asked.seconds)
                    continue
                plan = Plan(connections, asked.seconds, asked.rounds, asked.pause)
                seen = await rounds(running, requests, plan)
                report.show(shape, connections, seen)
    if not asked.profile:
        report.summary()


@asynccontextmanager
async def _running(asked: argparse.Namespace, core: set[int]) -> AsyncIterator[tuple[list[Side], dict[str, list[str]]]]:
    """The sides that are asked for, in their order, and the values that shapes are asked about."""
    async with AsyncExitStack() as stack:
        kept = asked.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lf-")))
        kept.mkdir(parents=True, exist_ok=True)
        print("The rows are being made: half a minute.") if not (kept / "made").exists() else None
        postgres, redis = await data.started(kept), EmbeddedRedis(kept / "redis")
        stack.push_async_callback(postgres.stop)
        await redis.start()
        stack.push_async_callback(redis.stop)
        dsn = postgres.dsn()
        starting = {
            sides.LAKEFRONT: lambda: sides.lakefront(dsn, redis.url, core, limits=asked.limits == "on"),
            sides.POSTGRAPHILE: lambda: sides.postgraphile(dsn, core),
            sides.FLOOR: lambda: sides.floor(dsn, core),
        }
        running = [await stack.enter_async_context(starting[name]()) for name in asked.only]
        ids = await data.permit_ids(dsn, IDS)
        yield running, {"ids": ids, "neighborhoods": data.NEIGHBORHOODS, "statuses": data.STATUSES}


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := sorted(set(chosen) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; choose from {', '.join(known)}")
        return [name for name in known if name in chosen]

    return parse


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(options()))
