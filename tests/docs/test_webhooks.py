"""The webhooks' page: its programs take what the adapter sends, and nothing else; its numbers are ours."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Notification
from lakefront.adapters.providers.webhook import Webhook
from lakefront.adapters.signatures import key_of, new_secret, signed
from lakefront.errors import UpstreamDenied
from tests.docs.blocks import blocks
from tests.docs.receivers import PAGE, running
from tests.process import ROOT

OLD, NEW = new_secret(), new_secret()

EVENT = Notification(
    id="evt_1", type="service_request.closed", at=datetime(2026, 5, 28, 14, tzinfo=UTC), data={"id": "r-1"}
)


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_programs_believe_what_is_signed_of_now_and_new(tmp_path: Path, language: str) -> None:
    async with running(tmp_path, language, f"{OLD} {NEW}") as receiver:
        calls = Calls(loopback=True)
        adapter = _adapter(receiver.url, calls, secret=OLD)
        await adapter.test()
        await adapter.deliver(EVENT)
        await adapter.deliver(EVENT)
        await _adapter(receiver.url, calls, secret=NEW).deliver(EVENT.model_copy(update={"id": "evt_2"}))
        with pytest.raises(UpstreamDenied):
            await _adapter(receiver.url, calls, secret=new_secret()).deliver(EVENT)
        await _adapter(receiver.url, calls, secret=new_secret(), next_secret=OLD).deliver(
            EVENT.model_copy(update={"id": "evt_3", "data": {"id": "r-3"}})
        )
        await calls.close()
        # The test is silent, what came twice was done once, what was signed by a stranger was not.
        assert [await receiver.line() for _ in range(3)] == [
            "service_request.closed r-1",
            "service_request.closed r-1",
            "service_request.closed r-3",
        ]


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_programs_refuse_the_rest(tmp_path: Path, language: str) -> None:
    body, now, key = orjson.dumps({"id": "evt_1", "type": "x", "data": {"id": "r-1"}}), int(time.time()), key_of(OLD)
    good = signed("evt_1", now, body, [key])
    wrong: list[tuple[dict[str, str], bytes]] = [
        (good, body + b" "),
        (good | {"webhook-id": "evt_2"}, body),
        (good | {"webhook-timestamp": str(now - 1)}, body),
        (good | {"webhook-timestamp": "now"}, body),
        (good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}, body),
        (good | {"webhook-signature": "v1,"}, body),
        (signed("evt_1", now - 400, body, [key]), body),
        (signed("evt_1", now + 400, body, [key]), body),
        ({}, body),
    ]
    async with (
        running(tmp_path, language, OLD) as receiver,
        httpx.AsyncClient(trust_env=False, timeout=60, verify=False) as http,
    ):
        for headers, sent in wrong:
            assert (await http.post(receiver.url, content=sent, headers=headers)).status_code == 401, headers
        assert (await http.post(receiver.url, content=body, headers=good)).status_code == 204


def test_its_example_is_ours() -> None:
    text = PAGE.read_text()
    (secret,), (stamp,) = re.findall(r"`(whsec_\S+=)`", text), re.findall(r"timestamp `(\d+)`", text)
    (shown,) = [block.text.strip() for block in blocks(PAGE) if block.language == "text"]
    headers = signed("evt_1", int(stamp), b'{"id":"evt_1"}', [key_of(secret)])
    assert headers == {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": shown}
    (example,) = [orjson.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    at = EVENT.at.isoformat()
    assert example == {"id": EVENT.id, "type": EVENT.type, "timestamp": at, "data": dict(EVENT.data)}


def test_the_readme_leads_to_it() -> None:
    assert "docs/webhooks.md" in (ROOT / "README.md").read_text()


def _adapter(url: str, calls: Calls, **credentials: Any) -> Webhook:
    # Each secret is another row: else what one is refused would be told of the others' breaker.
    tenant = "-".join(credentials.values())[:24]
    return Webhook(Endpoint(tenant, "webhook", "", url, "v1", credentials, None, 1), calls)
