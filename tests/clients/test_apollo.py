"""Apollo Client: normalised cache, Relay pages, subscriptions that change what queries show, and its errors."""

from tests.clients.conftest import LISTED
from tests.clients.failures import FAILURES, NO_TOKEN, NOT_A_CURSOR
from tests.clients.node import outcome


async def test_it_reads_writes_follows_and_tells_what_failed(options: dict[str, str]) -> None:
    told = await outcome("apollo.mjs", permitId="apollo", **options)
    assert told["pages"] == LISTED
    counts = {"__typename": "IngestPermitEventsPayload", "accepted": 1, "duplicates": 0, "rejected": 0}
    assert told["ingested"] == {**counts, "verdicts": []}
    assert told["statuses"] == ["status 0", "status 1"]
    assert told["shown"] == "status 1"  # the query was not asked again: the subscription changed the cached permit
    assert told["again"]["duplicates"] == 2
    assert [verdict["verdict"] for verdict in told["again"]["verdicts"]] == ["DUPLICATE", "DUPLICATE"]
    assert told["rejected"]["accepted"] == 1
    (verdict,) = told["rejected"]["verdicts"]
    assert verdict == {
        "__typename": "EventVerdict",
        "index": 1,
        "eventId": "apollo-3",
        "verdict": "REJECTED",
        "field": "eventData.newStatus",
        "reason": "Object missing required field `newStatus`.",
    }
    assert told["failures"] == FAILURES | {"notACursor": NOT_A_CURSOR}
    assert told["closed"] == f"Socket closed with event 4403 Forbidden: {NO_TOKEN}"
