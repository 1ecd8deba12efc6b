"""Many geocodes at once: how many calls they make of the geocoder, and how long they take (C4).

``python -m bench.geocodes``, which ``make bench-adapters`` runs, too: 100 geocodes of 20 addresses at once, written in
four ways, against the city simulator over real sockets, by GraphQL on a server of its own. Goal: 20 calls.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from lakefront.actor import system_actor
from lakefront.domain import cities, integrations
from lakefront.domain.cities import CityInput
from lakefront.domain.integrations import IntegrationInput
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.schema import build_schema
from lakefront.server.lifespan import running
from lakefront.settings import Settings
from lakefront.simulator import Simulator

ADDRESSES: Final = 20
WAYS: Final = (
    "{} Broadway, Manhattan",
    "{} broadway,manhattan",
    " {}  BROADWAY , Manhattan",
    "{} Broadway, Manhattan,",
)
AT_ONCE: Final = 100

ONE: Final = 'query ($address: String!) { geocode(address: $address, city: "nyc") { label provenance { source } } }'


async def main() -> None:
    """Print the table; raises ``SystemExit`` past the goal."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        async with Simulator(seed=1) as simulator, _asking(simulator, Path(folder)) as operations:
            table = Table("geocodes", "calls of Geoclient", "ms", title=f"{ADDRESSES} addresses, {AT_ONCE} geocodes")
            lines = [WAYS[at // ADDRESSES % len(WAYS)].format(100 + at % ADDRESSES) for at in range(AT_ONCE)]
            together = "{" + "".join(
                f'g{at}: geocode(address: "{line}", city: "nyc") {{ label }} ' for at, line in enumerate(lines)
            )
            counted = simulator.journal.tallies["geoclient"]
            total = 0
            sides: dict[str, list[tuple[str, dict[str, Any]]]] = {
                "each an operation, at once": [(ONE, {"address": line}) for line in lines],
                "the same again": [(ONE, {"address": line}) for line in lines],
                "in one document": [(together + "}", {})],
            }
            for name, documents in sides.items():
                started = time.perf_counter()
                await asyncio.gather(*(_ask(operations, document, variables) for document, variables in documents))
                seconds = time.perf_counter() - started
                table.add_row(name, str(counted.received - total), f"{seconds * 1000:.0f}")
                total = counted.received
            Console().print(table)
            if total != ADDRESSES:
                raise SystemExit(f"{total} calls instead of {ADDRESSES}")


@asynccontextmanager
async def _asking(simulator: Simulator, folder: Path) -> AsyncIterator[Operations]:
    """Operations of a server whose New York is the simulator's."""
    settings = Settings(data=folder, rate_limits="off", loopback_integrations=True, graphql_max_aliases=AT_ONCE)
    async with running(settings) as parts:
        services, admin = parts.doors.services, system_actor()
        await cities.upsert(services, admin, CityInput("nyc", "New York"))
        door = next(each for each in simulator.endpoints() if each["provider"] == "geoclient")
        await integrations.upsert(services, admin, IntegrationInput(**door))
        services.endpoints.changed()
        yield Operations(build_schema(), services, Context.for_operation, permission)


async def _ask(operations: Operations, document: str, variables: dict[str, Any]) -> None:
    answer = (
        await operations.execute(OperationRequest(document, variables=variables), system_actor(), "bench")
    ).payload()
    if "errors" in answer:
        raise RuntimeError(answer["errors"])


if __name__ == "__main__":
    uvloop.run(main())
