"""The webhook receiver believes what is signed, of now, and new."""

import base64
import hmac
import json
from hashlib import sha256

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems.webhook import SECOND_SECRET, SECRET
from tests.simulator.conftest import START

PATH = "/webhook/hooks/city"
NOW = int(START.timestamp())
BODY = json.dumps({"type": "serviceRequestChanged", "data": {"id": "r-1"}}).encode()


def signed(
    body: bytes = BODY, *, id_: str = "msg_1", timestamp: int = NOW, secret: str = SECRET, version: str = "v1"
) -> dict[str, str]:
    """Headers by the specification's own words, without the receiver's code."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, b".".join([id_.encode(), str(timestamp).encode(), body]), sha256).digest()
    signature = f"{version},{base64.b64encode(mac).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


async def test_a_signed_delivery_is_taken_and_kept(city: Simulator, http: httpx.AsyncClient) -> None:
    headers = {**signed(), "content-type": "application/json"}
    assert (await http.post(PATH, content=BODY, headers=headers)).status_code == 204
    assert (await http.get("/_control/webhooks")).json() == [
        {
            "id": "msg_1",
            "path": "/hooks/city",
            "at": "2026-05-28T14:00:00Z",
            "problem": None,
            "again": False,
            "content_type": "application/json",
            "body": {"type": "serviceRequestChanged", "data": {"id": "r-1"}},
        }
    ]


async def test_the_same_delivery_again_is_told_apart(city: Simulator, http: httpx.AsyncClient) -> None:
    codes = [(await http.post(PATH, content=BODY, headers=signed())).status_code for _ in range(2)]
    assert codes == [204, 200]
    assert [kept["again"] for kept in city.webhooks] == [False, True]


async def test_one_of_several_signatures_is_enough(http: httpx.AsyncClient) -> None:
    old, new = signed(secret=SECOND_SECRET), signed()
    both = {**old, "webhook-signature": f"v1a,zzz v1,AAAA {new['webhook-signature']}"}
    assert (await http.post(PATH, content=BODY, headers=both)).status_code == 204
    assert (await http.post(PATH, content=BODY, headers=signed(id_="msg_2", secret=SECOND_SECRET))).status_code == 204


@pytest.mark.parametrize(
    ("headers", "body", "status", "problem"),
    [
        (signed(), BODY + b" ", 401, "webhook-signature does not hold"),
        ({**signed(), "webhook-id": "msg_2"}, BODY, 401, "webhook-signature does not hold"),
        ({**signed(), "webhook-timestamp": str(NOW + 1)}, BODY, 401, "webhook-signature does not hold"),
        (signed(version="v2"), BODY, 401, "webhook-signature does not hold"),
        (signed(secret="whsec_AAAA"), BODY, 401, "webhook-signature does not hold"),
        (signed(timestamp=NOW - 310), BODY, 400, "the timestamp is more than 300 seconds off"),
        (signed(timestamp=NOW + 330), BODY, 400, "the timestamp is more than 300 seconds off"),
        ({**signed(), "webhook-timestamp": "now"}, BODY, 400, "webhook-timestamp is no timestamp"),
        ({}, BODY, 401, "webhook-id is missing"),
    ],
)
async def test_what_is_not_to_be_believed_is_refused_and_kept(
    city: Simulator, http: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int, problem: str
) -> None:
    answer = await http.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"message": problem})
    assert [kept["problem"] for kept in city.webhooks] == [problem]


async def test_a_wrong_clock_refuses_what_is_right(city: Simulator, http: httpx.AsyncClient) -> None:
    await http.put("/_control/faults", json=[{"kind": "clock-skew", "system": "webhook", "seconds": 900}])
    assert (await http.post(PATH, content=BODY, headers=signed())).status_code == 400
