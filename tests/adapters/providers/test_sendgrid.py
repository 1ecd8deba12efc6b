"""Mails: what SendGrid is sent, and what is made of its answers."""

from collections.abc import AsyncIterator

import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Delivery, Mail, Receipt
from lakefront.adapters.providers.sendgrid import SendGrid
from lakefront.errors import RateLimited, UpstreamDenied, UpstreamUncertain, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import parse
from tests.adapters.outside import Answer, Fault, Outside, told

MAIL = Mail(to="jane@example.org", subject="Your\nrequest", text="It was closed.", html="<p>Closed", reference="n-1")


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(loopback=True)
    yield opened
    await opened.close()


def _adapter(url: str, calls: Calls, quota: int | None = None, sender: str = "The city <city@example.org>") -> SendGrid:
    credentials = {"key": "SG.x", "from": sender}
    return SendGrid(Endpoint("city", "sendgrid", "", url, "v3", credentials, quota, 1), calls)


def _at(city: Simulator, calls: Calls, quota: int | None = None) -> SendGrid:
    door = next(door for door in city.endpoints() if door["provider"] == "sendgrid")
    return SendGrid(Endpoint(tenant="city", quota_daily=quota, version=1, **door), calls)


async def test_a_mail_is_sent_to_one_person_who_is_not_followed(calls: Calls) -> None:
    async with Outside(lambda _: Answer(202, b"", headers={"x-message-id": "m1"})) as outside:
        receipt = await _adapter(outside.url, calls).send(MAIL)
        await _adapter(outside.url, calls, sender="city@example.org").send(
            Mail(to="a@b.example", subject="s", text="t")
        )
    assert receipt == Receipt(external_id="m1", delivery=Delivery.ACCEPTED, source="sendgrid")
    got, plain = outside.got
    assert (got.method, got.target, got.headers["authorization"]) == ("POST", "/v3/mail/send", "Bearer SG.x")
    assert orjson.loads(got.body) == {
        "personalizations": [{"to": [{"email": "jane@example.org"}]}],
        "from": {"email": "city@example.org", "name": "The city"},
        "subject": "Your request",
        "content": [{"type": "text/plain", "value": "It was closed."}, {"type": "text/html", "value": "<p>Closed"}],
        "custom_args": {"reference": "n-1"},
        "tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}},
        "mail_settings": {"sandbox_mode": {"enable": False}},
    }
    assert orjson.loads(plain.body)["from"] == {"email": "city@example.org"}


async def test_a_dry_run_sends_nothing(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        assert (await _at(city, calls).send(MAIL, dry_run=True)).external_id is None
        assert not city.messages
        receipt = await _at(city, calls).send(MAIL)
        assert [(kept["id"], kept["system"]) for kept in city.messages] == [(receipt.external_id, "sendgrid")]


@pytest.mark.parametrize("fault", ["reset-after", "error-after", "malformed", "content-type"])
async def test_what_may_have_been_sent_is_not_sent_again(calls: Calls, fault: str) -> None:
    async with Simulator(seed=1, faults=parse(fault)) as city:
        with pytest.raises(UpstreamUncertain):
            await _at(city, calls).send(MAIL)
        assert len(city.messages) == 1


async def test_the_day_has_as_many_as_the_quota(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        adapter = _at(city, calls, quota=2)
        await adapter.send(MAIL)
        await adapter.send(MAIL)
        with pytest.raises(RateLimited, match="daily quota"):
            await adapter.send(MAIL)
        assert len(city.messages) == 2


async def test_a_key_that_may_not_send_is_told(calls: Calls) -> None:
    async with Outside(lambda _: told({"scopes": ["stats.read"]})) as outside:
        with pytest.raises(UpstreamDenied, match=r"send mail.*rotateIntegrationKey"):
            await _adapter(outside.url, calls).test()


async def test_what_cannot_be_a_mail_is_not_sent(calls: Calls) -> None:
    async with Outside(lambda _: Fault.RESET) as outside:
        for change in ({"to": "jane"}, {"subject": " "}, {"subject": "x" * 999}, {"text": ""}, {"html": ""}):
            with pytest.raises(ValidationError):
                await _adapter(outside.url, calls).send(MAIL.model_copy(update=change))
    assert outside.got == []
