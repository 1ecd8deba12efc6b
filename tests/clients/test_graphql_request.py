"""graphql-request: the small client of scripts and servers, with either media type of GraphQL over HTTP."""

from tests.clients.conftest import LISTED
from tests.clients.failures import FAILURES
from tests.clients.node import outcome

GRAPHQL_JSON = "application/graphql-response+json; charset=utf-8"
PLAIN_JSON = "application/json; charset=utf-8"

BEFORE_EXECUTION = {"wrongToken": 401, "refused": 400, "invalid": 400, "forbidden": 403}
"""What is refused before it runs, and its status; of these, JSON of the older type tells 400 as 200."""


def expected(media: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, failure in FAILURES.items():
        status = BEFORE_EXECUTION.get(name, 200)
        if media == PLAIN_JSON and status == 400:
            status = 200
        found[name] = {**failure, "status": status, "type": media, "hasData": name not in BEFORE_EXECUTION}
    return found


async def test_it_reads_writes_and_tells_what_failed(options: dict[str, str]) -> None:
    told = await outcome("graphql_request.mjs", permitId="graphql-request", **options)
    assert told["pages"] == LISTED
    assert told["ingested"] == {"accepted": 1, "duplicates": 0, "rejected": 0}
    assert told["again"] == {"accepted": 0, "duplicates": 1, "rejected": 0}
    assert told["byItself"] == expected(GRAPHQL_JSON)
    assert told["json"] == expected(PLAIN_JSON)
    assert told["graphqlJson"] == expected(GRAPHQL_JSON)
