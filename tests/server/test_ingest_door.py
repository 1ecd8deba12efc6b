"""POST /sf-permit-events on a real socket (P1, P5, P6, P9, X2, X6): each answer of the source document, and traps."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from lakefront.actor import system_actor
from lakefront.db.embedded import EmbeddedPostgres
from lakefront.domain import ingest_tokens, permits
from lakefront.settings import MIB, Settings
from tests.domain.permits.events import BASE, event
from tests.server.serving import exchange
from tests.server.wired import INGEST, Wired, wired

DOCUMENT_REQUEST = """
[
  {
    "eventId": "evt_12345", "permitId": "PRM2024-001234",
    "eventType": "status_change", "timestamp": "2024-01-15T10:30:00Z",
    "eventData": {
      "previousStatus": "under_review",
      "newStatus": "approved",
      "changedBy": "inspector_smith",
      "reason": "All requirements met"
    }
  }
]
"""

DOCUMENT_RESPONSE = """
{
  "status": "success",
  "message": "Events queued for processing",
  "eventsReceived": 1,
  "timestamp": "2024-01-15T10:30:15Z"
}
"""

ERROR_MEMBERS = {"error_code", "message", "details", "timestamp"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: a signing key takes a moment to make."""
    return tmp_path_factory.mktemp("door")


@pytest.fixture
async def door(dsn: str, folder: Path) -> AsyncIterator[Wired]:
    """The door without quotas, and without a Redis."""
    async with wired(Settings(port=0, data=folder, database_url=dsn, rate_limits="off")) as made:
        yield made


def many(number: int, prefix: str = "many") -> list[dict[str, Any]]:
    return [event(eventId=f"{prefix}-{index}", permitId=f"{prefix}-{index % 100}") for index in range(number)]


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error answer, checked for the common shape (L11)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body: dict[str, Any] = response.json()
    assert body.keys() == ERROR_MEMBERS
    assert body["error_code"] == code
    assert isinstance(body["message"], str)
    assert isinstance(body["details"], list)
    assert datetime.now(UTC) - datetime.fromisoformat(body["timestamp"]) < timedelta(minutes=1)
    return body


async def test_the_source_documents_request_gets_the_source_documents_response(door: Wired) -> None:
    response = await door.ingest(DOCUMENT_REQUEST.encode())
    assert response.status_code == 200
    body, wanted = response.json(), orjson.loads(DOCUMENT_RESPONSE)
    assert list(body)[:4] == list(wanted)
    assert {name: body[name] for name in wanted} == {**wanted, "timestamp": body["timestamp"]}
    told = datetime.strptime(body["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)
    assert (body["accepted"], body["duplicates"], body["rejected"], body["verdicts"]) == (1, 0, 0, [])
    [(event_id, payload)] = await door.stored()
    assert event_id == "evt_12345"
    assert payload == BASE["eventData"]


async def test_what_went_in_over_rest_comes_out_through_graphql(door: Wired) -> None:
    await door.ingest(DOCUMENT_REQUEST.encode())
    async with asyncio.timeout(10):
        while (await door.ask('{ permit(permitId: "PRM2024-001234") { status } }'))["permit"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    asked = "{ permits(first: 1) { nodes { permitId status events(first: 5) { nodes { eventId eventType } } } } }"
    [permit] = (await door.ask(asked))["permits"]["nodes"]
    assert permit == {
        "permitId": "PRM2024-001234",
        "status": "approved",
        "events": {"nodes": [{"eventId": "evt_12345", "eventType": "STATUS_CHANGE"}]},
    }


async def test_a_gzip_body(door: Wired) -> None:
    response = await door.ingest(gzip.compress(DOCUMENT_REQUEST.encode()), content_encoding="gzip")
    assert response.json()["accepted"] == 1


async def test_a_gzip_body_that_is_none_or_ends_too_early(door: Wired) -> None:
    whole = gzip.compress(DOCUMENT_REQUEST.encode())
    for body in (b"", whole[:2], whole[:-9], whole[:-1], b"not gzip", whole + b"not gzip"):
        refused(await door.ingest(body, content_encoding="gzip"), 400, "bad_request")
    assert await door.stored() == []


async def test_a_gzip_bomb_is_refused_before_it_goes_off(door: Wired) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * MIB) for _ in range(256)) + packer.flush()
    assert len(bomb) < MIB
    refused(await door.ingest(bomb, content_encoding="gzip"), 413, "payload_too_large")
    assert door.parts.doors.budget.used == 0


async def test_25_mb_are_taken_and_one_byte_more_is_not_plain_and_unpacked(door: Wired) -> None:
    for number, packed in enumerate((False, True)):
        whole = orjson.dumps([event(eventId=f"large-{number}")])
        whole += b" " * (25 * MIB - len(whole))
        over = whole + b" "
        encoding = "gzip" if packed else ""
        bodies = [gzip.compress(body, 1) if packed else body for body in (over, whole)]
        refused(await door.ingest(bodies[0], content_encoding=encoding), 413, "payload_too_large")
        assert (await door.ingest(bodies[1], content_encoding=encoding)).json()["accepted"] == 1
    assert [name for name, _ in await door.stored()] == ["large-0", "large-1"]


async def test_a_body_of_more_items_than_events_fit_in_is_refused(door: Wired) -> None:
    for items in (300_000, 12 * MIB):  # as objects the latter would take a gigabyte
        body = gzip.compress(b"[" + b"0," * (items - 1) + b"0]")
        refused(await door.ingest(body, content_encoding="gzip"), 413, "payload_too_large")
    numbers = [event(eventId=f"n-{number}", eventData={"newStatus": "a", "x": [1] * 30_000}) for number in range(67)]
    assert (await door.ingest(numbers)).json()["accepted"] == 67, "commas within events do not count"


async def test_a_body_without_a_length_is_measured_as_it_comes(door: Wired) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(26):
            yield b" " * MIB

    headers = {"Content-Type": "application/json", **door.bearer("ingest")}
    response = await door.client.post(INGEST, content=endless(), headers=headers)
    refused(response, 413, "payload_too_large")


async def test_other_content_types_and_encodings(door: Wired) -> None:
    body = DOCUMENT_REQUEST.encode()
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        refused(await door.ingest(body, content_type=kind), 415, "unsupported_media_type")
    refused(await door.ingest(body, content_encoding="br"), 415, "unsupported_media_type")
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert (await door.ingest(body, content_type=kind)).status_code == 200


async def test_without_a_token_that_holds(door: Wired) -> None:
    for authorization in ("", "Bearer", "Bearer nonsense", "Basic dTpw", "Bearer city_ingest_nonsense"):
        response = await door.ingest(DOCUMENT_REQUEST.encode(), authorization=authorization)
        refused(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert await door.stored() == []


async def test_with_a_readers_token(door: Wired) -> None:
    response = await door.ingest(DOCUMENT_REQUEST.encode(), authorization=f"Bearer {door.token('reader')}")
    refused(response, 403, "forbidden")
    assert await door.stored() == []


NOT_JSON = [
    b"",
    b"[{",
    b"[{]",
    b"[NaN]",
    b"[{}] []",
    b"\xef\xbb\xbf[]",
    b"[" * 200_000 + b"]" * 200_000,
    b"[" + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"]",
]

NOT_EVENTS = [b"null", b"1", b'"x"', b"[]", b"{}", b"[" + b"9" * 100_000 + b"]", b'["\xff"]', orjson.dumps(event())]


async def test_bodies_that_are_no_array_of_events(door: Wired) -> None:
    for body in NOT_JSON:
        refused(await door.ingest(body), 400, "bad_request")
    for body in NOT_EVENTS:
        refused(await door.ingest(body), 400, "validation_error")
    assert await door.stored() == []


WRONG: list[tuple[Any, str | None]] = [
    *((event(**{member: ...}), member) for member in BASE),
    (event(eventId=""), "eventId"),
    (event(permitId=7), "permitId"),
    (event(eventType="painted"), "eventType"),
    (event(timestamp="yesterday"), "timestamp"),
    (event(timestamp="2024-01-15T10:30:00"), "timestamp"),
    (event(timestamp="2999-01-15T10:30:00Z"), "timestamp"),
    (event(eventData={}), "eventData.newStatus"),
    (event(eventData={"newStatus": 1}), "eventData.newStatus"),
    (event(eventData={"newStatus": "a", "note": "\0"}), "eventData"),
    (event(price=1), "price"),
    (5, None),
]


async def test_which_event_and_which_field_is_wrong(door: Wired) -> None:
    for number, (wrong, field) in enumerate(WRONG):
        [detail] = refused(await door.ingest([wrong]), 400, "validation_error")["details"]
        assert (detail["index"], detail["field"]) == (0, f"[0].{field}" if field else "[0]")
        assert detail["message"].endswith(".")
        mixed = (await door.ingest([event(eventId=f"good-{number}"), wrong])).json()
        assert (mixed["status"], mixed["eventsReceived"]) == ("partial_success", 2)
        assert (mixed["accepted"], mixed["duplicates"], mixed["rejected"]) == (1, 0, 1)
        [verdict] = mixed["verdicts"]
        assert (verdict["index"], verdict["verdict"], verdict["field"]) == (1, "rejected", field)
        assert verdict["reason"] == detail["message"]
    assert sorted(name for name, _ in await door.stored()) == sorted(f"good-{n}" for n in range(len(WRONG)))


async def test_bytes_that_are_no_utf_8_do_not_spoil_their_neighbours(door: Wired) -> None:
    wrong = orjson.dumps(event(eventId="wrong")).replace(b"inspector_smith", b"inspector_\xff")
    answer = (await door.ingest(b"[" + orjson.dumps(event()) + b"," + wrong + b"]")).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert answer["verdicts"][0]["index"] == 1


async def test_atomic_takes_all_or_none(door: Wired) -> None:
    good, bad = event(eventId="good"), event(eventId="bad", timestamp=...)
    body = refused(await door.ingest([good, bad], path=f"{INGEST}?atomic=true"), 400, "validation_error")
    assert [(detail["index"], detail["field"]) for detail in body["details"]] == [(1, "[1].timestamp")]
    assert await door.stored() == []
    taken = (await door.ingest([good, event(eventId="other")], path=f"{INGEST}?atomic=true")).json()
    assert (taken["status"], taken["accepted"]) == ("success", 2)
    changed = event(eventId="good", permitId="another")
    body = refused(
        await door.ingest([event(eventId="new"), changed], path=f"{INGEST}?atomic=true"), 400, "validation_error"
    )
    assert [detail["verdict"] for detail in body["details"] if detail["index"] == 1] == ["conflict"]
    assert sorted(name for name, _ in await door.stored()) == ["good", "other"]
    refused(await door.ingest([good], path=f"{INGEST}?atomic=perhaps"), 400, "bad_request")


async def test_a_retry_is_a_duplicate_and_a_changed_body_a_conflict(door: Wired) -> None:
    events = many(3)
    assert (await door.ingest(events)).json()["accepted"] == 3
    again = (await door.ingest(events)).json()
    assert (again["status"], again["accepted"], again["duplicates"]) == ("success", 0, 3)
    assert {verdict["verdict"] for verdict in again["verdicts"]} == {"duplicate"}
    changed = [{**events[0], "eventData": {"newStatus": "denied"}}, events[1], event(eventId="new")]
    mixed = (await door.ingest(changed)).json()
    assert (mixed["accepted"], mixed["duplicates"], mixed["rejected"]) == (1, 1, 1)
    verdicts = {verdict["index"]: verdict for verdict in mixed["verdicts"]}
    assert (verdicts[0]["verdict"], verdicts[0]["eventId"]) == ("conflict", "many-0")
    assert verdicts[1]["verdict"] == "duplicate"
    payloads = dict(await door.stored())
    assert payloads["many-0"] == BASE["eventData"]
    assert payloads.keys() == {"many-0", "many-1", "many-2", "new"}


async def test_the_same_event_twice_in_one_request_is_kept_once(door: Wired) -> None:
    answer = (await door.ingest([event(), event(), event(eventData={"newStatus": "denied"})])).json()
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (1, 1, 1)
    assert len(await door.stored()) == 1


async def test_four_large_requests_at_once_lose_nothing(door: Wired) -> None:
    sent = [many(1000, f"batch{number}") for number in range(4)]
    # One batch goes twice at the same time: together its events are accepted once.
    answers = [response.json() for response in await asyncio.gather(*(door.ingest(body) for body in (*sent, sent[0])))]
    assert [answer["eventsReceived"] for answer in answers] == [1000] * 5
    assert sum(answer["accepted"] for answer in answers) == 4000
    assert sum(answer["duplicates"] for answer in answers) == 1000
    names = [name for name, _ in await door.stored()]
    assert sorted(names) == sorted(item["eventId"] for body in sent for item in body)
    assert door.parts.doors.budget.used == 0


async def test_a_client_that_hangs_up_leaves_nothing_behind(door: Wired) -> None:
    token = door.token("ingest")
    head = (
        f"POST {INGEST} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {MIB}\r\n\r\n"
    )
    body = orjson.dumps([event()]) + b" " * (MIB // 2)
    assert await exchange(door.port, head.encode() + body, seconds=0.2) == b""
    async with asyncio.timeout(5):
        while door.parts.doors.budget.used:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0.01)
    assert await door.stored() == []
    assert (await door.ingest([event()])).json()["accepted"] == 1


async def test_ingest_tokens_rotate_while_requests_go_on(door: Wired) -> None:
    """Two are valid at once: a producer that takes the new one in time never meets a 401 (P9)."""
    database, admin = door.parts.doors.services.database, system_actor()
    newest = [await ingest_tokens.rotate(database, admin, permits.STREAM) for _ in range(2)]
    statuses: list[int] = []
    rounds = {"a": 0, "b": 0}
    done = asyncio.Event()

    async def produce(name: str) -> None:
        count = 0
        while not done.is_set():
            rounds[name] += 1
            # A producer that still uses the older of the two is as right as one that has the newer.
            for token in tuple(newest):
                body = [event(eventId=f"{name}-{count}")]
                statuses.append((await door.ingest(body, authorization=f"Bearer {token}")).status_code)
                count += 1

    async def rotate() -> list[str]:
        ended = []
        for _ in range(5):
            await asyncio.sleep(0.05)
            # The older one leaves the producers' configuration before the rotation that ends it.
            ended.append(newest.pop(0))
            before = dict(rounds)
            while any(rounds[name] == before[name] for name in rounds):  # noqa: ASYNC110 - their last with the older
                await asyncio.sleep(0.01)
            newest.append(await ingest_tokens.rotate(database, admin, permits.STREAM))
        done.set()
        return ended

    _, _, ended = await asyncio.gather(produce("a"), produce("b"), rotate())
    assert len(statuses) > 10
    assert set(statuses) == {200}
    for token in ended:
        await _ends(door, token)
    assert len(await door.stored()) == len(statuses)


async def _ends(door: Wired, token: str) -> None:
    """Wait until the token does not hold any more: its end is announced to the servers."""
    async with asyncio.timeout(5):
        while (await door.ingest([], authorization=f"Bearer {token}")).status_code != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@asynccontextmanager
async def limited(dsn: str, folder: Path, redis_url: str | None) -> AsyncIterator[Wired]:
    """A door of 100 events/s: two shards of 50."""
    settings = Settings(port=0, data=folder, database_url=dsn, redis_url=redis_url, events_per_second=50)
    async with wired(settings) as made:
        yield made


@pytest.mark.parametrize("shared", [True, False])
async def test_past_the_quota_the_answer_says_when_to_come_again(
    dsn: str, folder: Path, redis_url: str, shared: bool
) -> None:
    async with limited(dsn, folder, redis_url if shared else None) as door:
        assert (await door.ingest(many(250, "first"))).status_code == 200, "a large request may go into debt"
        response = await door.ingest(many(1, "second"))
        refused(response, 429, "rate_limited")
        wait = int(response.headers["retry-after"])
        assert 1 <= wait <= 3
        await asyncio.sleep(wait)
        assert (await door.ingest(many(1, "second"))).status_code == 200
        assert len(await door.stored()) == 251


async def test_without_its_redis_the_door_keeps_its_quota(dsn: str, folder: Path) -> None:
    async with limited(dsn, folder, "unix:///nowhere/redis.sock") as door:
        assert (await door.ingest(many(250, "first"))).status_code == 200
        refused(await door.ingest(many(1, "second")), 429, "rate_limited")


async def test_while_postgresql_is_away(folder: Path, parts_folder: Path) -> None:
    server = EmbeddedPostgres(parts_folder / "away", parameters={"fsync": "off"})
    await server.start()
    try:
        settings = Settings(port=0, data=folder, database_url=server.dsn(), rate_limits="off")
        async with wired(settings) as door:
            assert (await door.ingest([event(eventId="before")])).status_code == 200
            await server.stop()
            for _ in range(3):
                response = await door.ingest([event(eventId="meanwhile")])
                refused(response, 503, "unavailable")
                assert int(response.headers["retry-after"]) >= 1
            await server.start()
            async with asyncio.timeout(15):
                while (await door.ingest([event(eventId="after")])).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert {name for name, _ in await door.stored()} == {"before", "after"}
    finally:
        await server.stop()
