"""Published 311 requests become service requests, one for each, however often they are read (C5, C15)."""

from lakefront.actor import Actor
from lakefront.domain import service_requests
from lakefront.domain.service_requests import Origin, State
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from tests.domain.open_data.publishing import REQUESTS, counts, events, imported, published, table

STREAM = f"open-data-{REQUESTS}"


async def test_rows_become_service_requests(importing: Services, actor: Actor, simulator: Simulator) -> None:
    rows = published(simulator, REQUESTS).rows
    rows[0] |= {
        "status": "Open",
        "closed_date": None,
        "created_date": "2026-05-01T08:30:00.000",
        "borough": "Unspecified",
        "complaint_type": "Rodent",
        "latitude": "40.7",
        "longitude": "-74.0",
    }
    rows[1]["created_date"] = None
    row = await imported(importing, actor, REQUESTS)
    assert (row["state"], counts(row)) == ("DONE", (60, 59, 0, 1))
    found = await service_requests.find(importing, actor, f"nyc311-{rows[0]['unique_key']}")
    assert (found.source, found.city, found.provider, found.state) == (Origin.OPEN_DATA, "nyc", "nyc311", State.OPEN)
    assert (found.complaint_type, found.borough, found.latitude, found.owner) == ("Rodent", None, 40.7, None)
    assert found.reported_at.isoformat() == "2026-05-01T12:30:00+00:00"  # New York's clocks
    assert len(await table(importing, actor, "service_requests")) == 59
    assert len(await events(importing, actor, STREAM)) == 59


async def test_what_changes_is_changed(importing: Services, actor: Actor, simulator: Simulator) -> None:
    rows = published(simulator, REQUESTS)
    rows.rows[0] |= {"status": "Open", "closed_date": None}
    await imported(importing, actor, REQUESTS)
    simulator.clock.advance(60)
    rows.change(changed=60, added=2, now=simulator.clock.now())
    later = await imported(importing, actor, REQUESTS)
    assert counts(later) == (62, 62, 0, 0)
    found = await service_requests.find(importing, actor, f"nyc311-{rows.rows[0]['unique_key']}")
    assert (found.state, found.version) == (State.CLOSED, 2)
    # All of it again: nothing is new.
    again = await imported(importing, actor, REQUESTS, since=simulator.clock.now().replace(year=2000))
    assert counts(again) == (62, 0, 62, 0)
    assert len(await table(importing, actor, "service_requests")) == 62
    assert len(await events(importing, actor, STREAM)) == 122


async def test_the_event_tells_the_row_as_it_was_published(
    importing: Services, actor: Actor, simulator: Simulator
) -> None:
    [row, *_] = published(simulator, REQUESTS).rows
    row |= {"created_date": "2026-01-15T00:30:00.000", "closed_date": None, "resolution_action_updated_date": None}
    await imported(importing, actor, REQUESTS)
    [event] = [each for each in await events(importing, actor, STREAM) if each.partition_key == row["unique_key"]]
    assert (event.event_type, event.source) == ("service_request", REQUESTS)
    assert event.occurred_at.isoformat() == "2026-01-15T05:30:00+00:00"
    told = event.payload["columns"]
    assert told["created_date"] == "2026-01-15T05:30:00+00:00"
    assert told["agency"] == row["agency"]
    assert "closed_date" not in told
    assert not [name for name in told if name.startswith(":")]
