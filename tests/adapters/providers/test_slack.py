"""Chat messages: text stays text, and a webhook's path is its secret."""

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Delivery, Receipt
from lakefront.adapters.providers.slack import Slack
from lakefront.errors import UpstreamDenied, UpstreamRejected, UpstreamUncertain, ValidationError
from lakefront.simulator import Simulator
from lakefront.simulator.faults import parse
from lakefront.simulator.systems.slack import ARCHIVED, HOOK
from tests.adapters.outside import Answer, Outside


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    opened = Calls(loopback=True)
    yield opened
    await opened.close()


def _at(city: Simulator, calls: Calls, path: str | None = None) -> Slack:
    door = next(door for door in city.endpoints() if door["provider"] == "slack")
    endpoint = Endpoint(tenant=f"at {path}", quota_daily=None, version=1, **door)
    return Slack(endpoint if path is None else replace(endpoint, credentials={"path": path}), calls)


async def test_text_notifies_nobody_and_hides_nothing(calls: Calls) -> None:
    async with Simulator(seed=1) as city:
        receipt = await _at(city, calls).post("<!channel> R&D: <https://evil.example|your bank>")
        assert receipt == Receipt(external_id=None, delivery=Delivery.DELIVERED, source="slack")
        (kept,) = city.messages
        assert kept["message"] == {
            "text": "&lt;!channel&gt; R&amp;D: &lt;https://evil.example|your bank&gt;",
            "unfurl_links": False,
        }


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/services/T/B/x", "/services/T/B/x"),
        ("services/T/B/x/", "/services/T/B/x"),
        ("{url}/services/T/B/x", "/services/T/B/x"),
        ("/services/../B?a#b", "/services/%2E%2E/B%3Fa%23b"),
    ],
)
async def test_the_path_as_people_copy_it(calls: Calls, path: str, target: str) -> None:
    async with Outside(lambda _: Answer(200, b"ok", kind="text/html")) as outside:
        credentials = {"path": path.format(url=outside.url)}
        adapter = Slack(Endpoint("city", "slack", "", outside.url, "webhook", credentials, None, 1), calls)
        await adapter.post("x")
    assert [(got.target, orjson.loads(got.body)["text"]) for got in outside.got] == [(target, "x")]


async def test_why_not(calls: Calls) -> None:
    async with Simulator(seed=1, limits={"slack": ""}) as city:
        (path,) = [door["credentials"]["path"] for door in city.endpoints() if door["provider"] == "slack"]
        for wrong in (f"{path}x", path.replace(HOOK, "B1"), "/elsewhere"):
            with pytest.raises(UpstreamDenied, match="rotateIntegrationKey"):
                await _at(city, calls, wrong).post("x")
        with pytest.raises(UpstreamRejected):
            await _at(city, calls, path.replace(HOOK, ARCHIVED)).post("x")
        with pytest.raises(ValidationError):
            await _at(city, calls).post(" ")
        assert not city.messages


@pytest.mark.parametrize("fault", ["reset-after", "error-after", "malformed", "content-type"])
async def test_what_may_have_been_written_is_not_written_again(calls: Calls, fault: str) -> None:
    async with Simulator(seed=1, faults=parse(fault)) as city:
        with pytest.raises(UpstreamUncertain):
            await _at(city, calls).post("x")
        assert len(city.messages) == 1
