"""Text messages: what Twilio is sent, in its turn, and what is made of its answers."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Delivery, Receipt, TextMessage
from lakefront.adapters.providers.twilio import Twilio
from lakefront.errors import UpstreamDenied, UpstreamRejected, UpstreamUncertain, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import parse
from lakefront.simulator.systems.twilio import UNREACHABLE
from tests.adapters.outside import Outside, told

MESSAGE = TextMessage(to="+1 (212) 555-0123", text="It was closed: 50 % & more.")


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(loopback=True)
    yield opened
    await opened.close()


def _adapter(url: str, calls: Calls, tenant: str = "city", **changes: str) -> Twilio:
    credentials = {"account_sid": "AC1/..", "auth_token": "t", "from": "+12125550100"} | changes
    return Twilio(Endpoint(tenant, "twilio", "", url, "2010-04-01", credentials, None, 1), calls)


def _at(city: Simulator, calls: Calls, tenant: str = "city") -> Twilio:
    """Each tenant has a rate of its own, so that tests of nothing else wait for no turn."""
    door = next(door for door in city.endpoints() if door["provider"] == "twilio")
    return Twilio(Endpoint(tenant=tenant, quota_daily=None, version=1, **door), calls)


async def test_what_is_sent(calls: Calls) -> None:
    async with Outside(lambda _: told({"sid": "SM1", "status": "queued"}, 201)) as outside:
        receipt = await _adapter(outside.url, calls).send(MESSAGE)
        await _adapter(outside.url, calls, "other", **{"from": "MG5"}).send(MESSAGE)
    assert receipt == Receipt(external_id="SM1", delivery=Delivery.ACCEPTED, source="twilio")
    got, by_service = outside.got
    assert got.target == "/2010-04-01/Accounts/AC1%2F../Messages.json"
    assert got.headers["authorization"] == f"Basic {b64encode(b'AC1/..:t').decode()}"
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    assert got.body == b"To=%2B12125550123&From=%2B12125550100&Body=It%20was%20closed%3A%2050%20%25%20%26%20more."
    assert b"&MessagingServiceSid=MG5&" in by_service.body


async def test_messages_wait_for_their_turn_and_arrive(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        adapter = _at(city, calls)
        receipts = await asyncio.gather(adapter.send(MESSAGE), adapter.send(MESSAGE))
        assert {receipt.external_id for receipt in receipts} == {kept["id"] for kept in city.messages}
        assert len(city.messages) == 2
        city.clock.advance(10)
        known = await _at(city, calls, "reader").status(receipts[0].external_id or "")
        assert known == receipts[0].model_copy(update={"delivery": Delivery.DELIVERED})
        assert await _at(city, calls, "another").status("SM0") is None


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        *(("sending", Delivery.ACCEPTED), ("sent", Delivery.SENT), ("read", Delivery.DELIVERED)),
        *(("undelivered", Delivery.FAILED), ("failed", Delivery.FAILED), ("not known yet", Delivery.ACCEPTED)),
    ],
)
async def test_how_far_it_got(calls: Calls, status: str, delivery: Delivery) -> None:
    async with Outside(lambda _: told({"sid": "SM1", "status": status})) as outside:
        receipt = await _adapter(outside.url, calls).status("SM1")
    assert receipt is not None
    assert receipt.delivery is delivery


@pytest.mark.parametrize("fault", ["reset-after", "error-after", "malformed", "content-type"])
async def test_what_may_have_been_sent_is_not_sent_again(calls: Calls, fault: str) -> None:
    async with Simulator(seed=1, faults=parse(fault)) as city:
        with pytest.raises(UpstreamUncertain):
            await _at(city, calls).send(MESSAGE)
        assert len(city.messages) == 1


async def test_whom_not_to_write_to_again_is_told(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        with pytest.raises(UpstreamRejected, match="no telephone number") as raised:
            await _at(city, calls).send(TextMessage(to=UNREACHABLE, text="x"))
        assert raised.value.details == [{"provider": "twilio", "status": "400", "code": "21211"}]
        assert UNREACHABLE not in raised.value.message


@pytest.mark.parametrize(("answer", "code"), [({"code": 21610}, "21610"), ({"code": 30000}, "30000"), ({}, None)])
async def test_refusals_have_its_number(calls: Calls, answer: Any, code: str | None) -> None:
    async with Outside(lambda _: told(answer, 400)) as outside:
        with pytest.raises(UpstreamRejected) as raised:
            await _adapter(outside.url, calls).send(MESSAGE)
    assert raised.value.details[0].get("code") == code
    assert ("told it to stop" in raised.value.message) is (code == "21610")


async def test_an_account_that_is_closed_is_told(calls: Calls) -> None:
    async with Outside(lambda _: told({"sid": "AC1", "status": "closed"})) as outside:
        with pytest.raises(UpstreamDenied, match="not active"):
            await _adapter(outside.url, calls).test()


async def test_what_cannot_be_a_message_is_not_sent(calls: Calls) -> None:
    async with Outside() as outside:
        for change in ({"to": "555"}, {"text": " "}, {"text": "x" * 1601}):
            with pytest.raises(ValidationError):
                await _adapter(outside.url, calls).send(MESSAGE.model_copy(update=change))
    assert outside.got == []
