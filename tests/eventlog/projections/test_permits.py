"""The projection: order of arrival never matters, and nothing moves a permit back (P2)."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lakefront.db.tables.permits import permit_addresses, permits
from lakefront.domain.services import Services
from lakefront.eventlog.projections.permits import RANKS, PermitState, project

START = datetime(2024, 1, 1, tzinfo=UTC)


def row(event_type: str, day: int, data: dict[str, Any], *, offset: int = 0, permit_id: str = "p") -> dict[str, Any]:
    """A row of the log as the runner reads it."""
    return {
        "offset": offset,
        "event_type": event_type,
        "partition_key": permit_id,
        "occurred_at": START + timedelta(days=day),
        "ingested_at": START + timedelta(days=1000, seconds=offset),
        "payload": data,
    }


def folded(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    state = PermitState()
    for event in events:
        state.take(event)
    return state.values


def test_a_late_event_does_not_move_the_status_back() -> None:
    late = [row("permit_completed", 9, {}, offset=0), row("permit_issued", 3, {"revisedCost": 7}, offset=1)]
    state = folded(late)
    assert state["status"] == "complete"
    assert state["status_at"].startswith("2024-01-10")
    assert state["issued_at"].startswith("2024-01-04")
    assert state["revised_cost"] == 7


def test_events_of_one_moment_go_by_their_place_in_the_life_cycle() -> None:
    same_day = [
        row(kind, 1, {}, offset=offset)
        for offset, kind in enumerate(["permit_completed", "permit_issued", "permit_filed"])
    ]
    assert folded(same_day)["status"] == "complete"


def test_what_only_an_older_event_told_is_kept() -> None:
    told = [
        row("permit_issued", 5, {"revisedCost": 2000}, offset=0),
        row("permit_filed", 1, {"estimatedCost": 1000, "revisedCost": 1000, "neighborhood": "Mission"}, offset=1),
    ]
    state = folded(told)
    assert (state["estimated_cost"], state["revised_cost"], state["neighborhood"]) == (1000, 2000, "Mission")


def test_null_makes_unknown_and_absence_changes_nothing() -> None:
    state = folded(
        [
            row("permit_filed", 1, {"type": "demolition", "zipcode": "94110"}, offset=0),
            row("permit_issued", 2, {"type": None}, offset=1),
        ]
    )
    assert state["type"] is None
    assert state["zipcode"] == "94110"


def test_a_newly_scheduled_inspection_has_no_outcome_yet() -> None:
    state = folded(
        [
            row("inspection_scheduled", 1, {"scheduledFor": "2024-02-01T09:00:00Z"}, offset=0),
            row("inspection_completed", 2, {"result": "failed", "inspector": "ann"}, offset=1),
            row("inspection_scheduled", 3, {"scheduledFor": "2024-03-01T09:00:00Z"}, offset=2),
        ]
    )
    assert state["inspection_result"] is None
    assert state["inspection_completed_at"] is None
    assert state["inspection_scheduled_at"].startswith("2024-03-01")
    assert state["inspector"] == "ann"


_DATA: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "status_change": st.fixed_dictionaries({"newStatus": st.sampled_from(["approved", "suspend", "reinstated"])}),
    "inspector_assignment": st.fixed_dictionaries({"inspector": st.sampled_from(["ann", "bob"])}),
    "inspection_scheduled": st.fixed_dictionaries({}, optional={"inspectionType": st.sampled_from(["a", "b"])}),
    "inspection_completed": st.fixed_dictionaries({"result": st.sampled_from(["passed", "failed"])}),
}
_DETAILS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "estimatedCost": st.none() | st.integers(0, 9),
        "neighborhood": st.sampled_from(["Mission", "Marina"]),
        "addresses": st.lists(
            st.fixed_dictionaries({"addressId": st.sampled_from(["1", "2"]), "block": st.sampled_from(["x", "y"])}),
            max_size=2,
            unique_by=lambda address: address["addressId"],
        ),
    },
)


def _data_of(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return _DATA.get(kind, _DETAILS)


EVENTS = st.lists(
    st.sampled_from(sorted(RANKS)).flatmap(lambda kind: st.tuples(st.just(kind), st.integers(0, 3), _data_of(kind))),
    max_size=12,
).map(lambda told: [row(kind, day, data, offset=offset) for offset, (kind, day, data) in enumerate(told)])


@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(events: list[dict[str, Any]], chance: random.Random) -> None:
    shuffled = list(events)
    chance.shuffle(shuffled)
    one, other = PermitState(), PermitState()
    for event in events:
        one.take(event)
    for event in shuffled:
        other.take(event)
    assert one == other


async def test_batches_of_any_size_give_the_same_rows(services: Services) -> None:
    chance = random.Random(7)
    kinds = sorted(RANKS)
    events = []
    for offset in range(400):
        kind = chance.choice(kinds)
        data: dict[str, Any] = {
            "status_change": {"newStatus": "approved"},
            "inspector_assignment": {"inspector": "a"},
        }.get(
            kind, {"estimatedCost": offset, "addresses": [{"addressId": str(chance.randrange(3)), "lot": str(offset)}]}
        )
        events.append(row(kind, chance.randrange(50), data, offset=offset, permit_id=f"p{chance.randrange(20)}"))

    async def rows_after(tenant: str, size: int, told: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
        for start in range(0, len(told), size):
            async with services.database.transaction(tenant) as transaction:
                await project(transaction, tenant, told[start : start + size])
        found = []
        for table in (permits, permit_addresses):
            query = table.select().order_by(*table.primary_key.columns)
            found.append([{**row, "tenant_id": ""} for row in await services.database.rows(tenant, query)])
        return found[0], found[1]

    whole = await rows_after("whole", 400, events)
    assert len(whole[0]) == 20
    assert whole[1]
    assert whole == await rows_after("single", 1, events)
    chance.shuffle(events)
    assert whole == await rows_after("shuffled", 7, events)
    assert whole == await rows_after("shuffled", 400, events), "folding the same events again changed something"
