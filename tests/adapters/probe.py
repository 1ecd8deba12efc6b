"""An adapter of the tests' own, and calls that lose patience quickly."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Calls, Policy, Request, Response
from lakefront.adapters.dto import Wire
from lakefront.adapters.endpoint import Endpoint

QUICK = Policy(
    try_timeout=0.8,
    connect_timeout=0.7,
    total_timeout=4.0,
    first_pause=0.001,
    longest_pause=0.01,
    bulkhead_patience=0.5,
    open_pause=0.2,
)

SECRET = "k3y-of-the-probe"


class Form(Wire):
    """What the probe reads."""

    value: int


class Probe(Adapter):
    """Asks for a number; ``file`` changes something."""

    provider = "probe"
    title = "The probe"
    default_base_url = "https://probe.example"
    api_versions = ("1",)
    credentials: ClassVar = {"key": "its key"}
    tells: ClassVar = frozenset({"code"})

    async def ask(self, **changes: Any) -> int:
        """An idempotent call; ``changes`` of its request."""
        return await self._call(self._request("GET", changes), _value, trace_id="a" * 32)

    async def file(self, **changes: Any) -> int:
        """A call that changes something."""
        request = self._request("POST", {"json": {"caller": {"name": "Jane Doe", "phone": "2125551234"}}} | changes)
        return await self._call(request, _value, trace_id="b" * 32, idempotent=False)

    async def test(self) -> None:
        await self.ask()

    def _request(self, method: Any, changes: Mapping[str, Any]) -> Request:
        query = {"q": "123 Broadway", "key": self.credential("key")}
        return Request(**{"name": "ask", "method": method, "path": "/ask", "query": query, **changes})


def _value(answer: Response) -> int:
    return answer.model(Form).value


def probe(url: str, calls: Calls, **changes: Any) -> Probe:
    """A probe at ``url``; ``changes`` of its endpoint."""
    given: dict[str, Any] = {
        "tenant": "city",
        "provider": "probe",
        "city": "",
        "base_url": url,
        "api_version": "1",
        "credentials": {"key": SECRET},
        "quota_daily": None,
        "version": 1,
    }
    return Probe(Endpoint(**(given | changes)), calls)


def limited(**limits: Any) -> Callable[[str, Calls], Probe]:
    """A probe whose class has other limits."""
    return lambda url, calls: type("Probe", (Probe,), limits)(probe(url, calls).endpoint, calls)
