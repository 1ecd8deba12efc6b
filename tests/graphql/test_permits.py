"""Permits through GraphQL: by key, in pages, with what belongs to them, in few statements, never another tenant's."""

from tests.graphql.conftest import Ask, RecordingDatabase

PAGE = """
query ($first: Int) {
  permits(first: $first) {
    nodes {
      id permitId status estimatedCost filedAt createdOn units latestInspection { type inspector: result }
      addresses { addressId primary location { latitude longitude } }
      events(last: 5) { nodes { eventId eventType occurredAt eventData offset } }
    }
  }
}
"""


async def test_a_permit_by_its_number(ask: Ask, city: None) -> None:
    answer = await ask(
        '{ permit(permitId: "P010") { permitId neighborhood filedAt latestInspection { type result } } }'
    )
    assert answer == {
        "data": {
            "permit": {
                "permitId": "P010",
                "neighborhood": "Mission",
                "filedAt": "2024-01-11T00:00:00.001+00:00",
                "latestInspection": {"type": "final", "result": None},
            }
        }
    }


async def test_what_is_not_there_is_null(ask: Ask, city: None) -> None:
    answer = await ask('{ a: permit(permitId: "none") { permitId } b: permit(permitId: "P\\u0000") { permitId } }')
    assert answer == {"data": {"a": None, "b": None}}


async def test_a_hundred_permits_with_events_and_addresses_take_three_statements(
    ask_resolvers: Ask, city: None, recorder: RecordingDatabase
) -> None:
    answer = await ask_resolvers(PAGE, first=100)
    assert "errors" not in answer
    assert len(recorder.statements) == 3
    nodes = answer["data"]["permits"]["nodes"]
    assert [node["permitId"] for node in nodes] == [f"P{number:03d}" for number in range(60)]
    assert [event["eventId"] for event in nodes[7]["events"]["nodes"]] == [f"E7-{place}" for place in range(2, 7)]
    assert nodes[7]["events"]["nodes"][0] == {
        "eventId": "E7-2",
        "eventType": "STATUS_CHANGE",
        "occurredAt": "2024-01-01T01:00:00+00:00",
        "eventData": {"n": 7, "text": "ünï", "price": 1.5},
        "offset": "72",
    }
    assert nodes[5]["addresses"][1] == {
        "addressId": "A1",
        "primary": False,
        "location": {"latitude": 37.705, "longitude": -122.41},
    }
    assert nodes[4]["addresses"] == [{"addressId": "A0", "primary": True, "location": None}]
    assert nodes[4]["latestInspection"] is None
