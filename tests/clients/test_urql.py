"""urql, which names `text/event-stream` in the Accept header of every query, and follows over sockets and over SSE."""

from tests.clients.conftest import LISTED
from tests.clients.failures import FAILURES, NO_TOKEN, NOT_A_CURSOR
from tests.clients.node import outcome


async def test_it_reads_writes_follows_and_tells_what_failed(options: dict[str, str]) -> None:
    told = await outcome("urql.mjs", permitId="urql", **options)
    assert told["pages"] == LISTED
    assert told["ingested"]["accepted"] == 1
    for way in ("followed", "streamed"):
        assert [message["event"]["eventId"] for message in told[way]] == ["urql-0", "urql-1", "urql-2"]
        assert told[way][-1]["permit"] == {"status": "status 2"}
    assert told["followed"][-1]["cursor"] == told["streamed"][-1]["cursor"]
    streamed = {"notACursor": NOT_A_CURSOR, "notACursorStreamed": NOT_A_CURSOR}
    assert told["failures"] == FAILURES | streamed
    assert told["closed"] == f"Forbidden: {NO_TOKEN}"

    kinds = {
        (exchange["accept"].startswith("application/graphql-response+json, "), exchange["type"].partition(";")[0])
        for exchange in told["exchanges"]
        if "text/event-stream" in exchange["accept"]
    }
    assert kinds == {(True, "application/graphql-response+json"), (False, "text/event-stream")}
    assert len(told["exchanges"]) > 10
