"""What was made to cost is refused, or answered, within 50 ms of CPU: told by what parsing a usual document takes."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from graphql import parse

from lakefront.actor import SCOPES, Actor
from lakefront.errors import LakefrontError
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.declare import permission
from lakefront.graphql.plan.document import InvalidDocument
from lakefront.graphql.plan.planner import Planner
from lakefront.graphql.schema import build_schema
from lakefront.server.bodies import parse_json
from lakefront.server.graphql_http import operation_request
from tests.graphql.plan.hostile import documents, requests
from tests.graphql.sample import settings

SCHEMA = build_schema()
SETTINGS = settings()
ACTOR = Actor("ada", "city", SCOPES)

USUAL = "{ permits { nodes { " + "status description " * 520 + "} } }"
"""10 kB, of which graphql-core's parser makes a document in 7 ms where this was written, 12 ms when others are busy."""

MOST = 10
"""Times as much as parsing ``USUAL`` is what any request may cost. The dearest take 6, a legal one of 3,000 tokens."""

TRIES = 5
"""A busy machine makes one look slow, and not always the same: both are measured anew."""

REQUESTS = {name: OperationRequest(text) for name, text in documents(SETTINGS).items()} | requests()


def seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


@cache
def usual() -> float:
    """Seconds of CPU that parsing ``USUAL`` takes now."""
    return min(seconds(lambda: parse(USUAL)) for _ in range(3))


def ask(body: bytes) -> None:
    """From the body to the plan or the refusal, with nothing remembered; raises what no client should get to see."""
    with suppress(InvalidDocument, LakefrontError):
        request = operation_request(parse_json(body, max_depth=SETTINGS.graphql_max_variables_depth + 1))
        Planner(SCHEMA, SETTINGS, permission).plan(request, ACTOR)


@pytest.mark.parametrize("name", REQUESTS)
def test_no_request_costs_much(name: str) -> None:
    asked = REQUESTS[name]
    body = json.dumps({"query": asked.document, "variables": asked.variables}, ensure_ascii=False).encode()
    # The door reads no more than this; what is cut off is no JSON, but takes as long to find out.
    body = body[: SETTINGS.graphql_max_body]
    ratios = []
    for attempt in range(TRIES):
        if attempt:
            usual.cache_clear()
        ratios.append(seconds(lambda: ask(body)) / usual())
        if ratios[-1] < MOST:
            return
    pytest.fail(f"It cost {min(ratios):.1f} times as much as parsing 10 kB.")


def test_a_hundred_components_on_a_page_are_answered() -> None:
    parts = (
        f"fragment f{number} on Permit {{ permitId status events(first: 3) {{ nodes {{ eventId occurredAt }} }} }}"
        for number in range(100)
    )
    page = "query Page($after: String) { permits(first: 10, after: $after) { pageInfo { endCursor } nodes { "
    text = page + " ".join(f"...f{number}" for number in range(100)) + " } } } " + " ".join(parts)
    planned = Planner(SCHEMA, SETTINGS, permission).plan(OperationRequest(text), ACTOR)
    assert planned.plan.operation.name
