"""Objects by their global id."""

import asyncpg

from lakefront.graphql.declare.cursors import encode, node_id
from tests.actors import of_role
from tests.graphql.conftest import Ask, RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

NODES = """query ($ids: [ID!]!) { nodes(ids: $ids) {
  __typename id ... on Permit { permitId } ... on PermitEvent { eventId permit { permitId } } } }"""


async def test_every_type_by_the_id_that_it_gave(ask: Ask, city: None, recorder: RecordingDatabase) -> None:
    data = (await ask('{ permit(permitId: "P009") { id } permitEvents(last: 1) { nodes { id eventId } } }'))["data"]
    event = data["permitEvents"]["nodes"][0]
    recorder.statements.clear()
    ids = [event["id"], data["permit"]["id"], node_id("Permit", ("none",)), data["permit"]["id"]]
    one, two, none, again = (await ask(NODES, ids=ids))["data"]["nodes"]
    assert (one["__typename"], one["eventId"], one["id"]) == ("PermitEvent", event["eventId"], event["id"])
    assert two == again == {"__typename": "Permit", "id": data["permit"]["id"], "permitId": "P009"}
    assert none is None
    assert len(recorder.statements) == 3  # permits, events, the event's permit


async def test_an_object_asks_for_its_own_scope(ask: Ask, city: None) -> None:
    document = "query ($id: ID!) { node(id: $id) { id } }"
    answer = await ask(document, asking=of_role("monitor"), id=node_id("Permit", ("P009",)))
    assert answer["data"] == {"node": None}
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_what_is_no_id_is_refused(ask: Ask, city: None) -> None:
    wrong = ["", "x", "ü", encode(["Nothing", 1]), encode(["PermitAddress", "P001", "A0"]), encode([["Permit"], 1])]
    for text in wrong:
        (error,) = (await ask("query ($id: ID!) { node(id: $id) { id } }", id=text))["errors"]
        assert error["extensions"]["errorCode"] == "validation_error", text


async def test_a_key_that_cannot_be_is_nothing(ask: Ask, city: None) -> None:
    made_up: list[list[object]] = [
        ["Permit"],
        ["Permit", 1],
        ["Permit", "a", "b"],
        ["Permit", "\0"],
        ["PermitEvent", "x", 1],
        ["Permit", None],
    ]
    for values in made_up:
        assert await ask("query ($id: ID!) { node(id: $id) { id } }", id=encode(values)) == {"data": {"node": None}}


async def test_sql_can_write_the_same_ids(dsn: str) -> None:
    """The planner will: the form is PostgreSQL's."""
    array = "json_build_array($1::text, $2::text, $3::bigint)::text"
    sql = rf"translate(encode(convert_to({array}, 'UTF8'), 'base64'), E'+/=\n', '-_')"
    connection = await asyncpg.connect(dsn)
    try:
        for text in ("P001", 'quote " and \\ back', "ünï ☂ 😀", "tab\tline\n\x01\x1f\x7f", "x" * 200, "</script>"):
            assert await connection.fetchval(f"SELECT {sql}", "Permit", text, 7) == node_id("Permit", (text, 7))
    finally:
        await connection.close()
