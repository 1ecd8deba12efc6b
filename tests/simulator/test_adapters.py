"""The adapters speak with the simulator, in every version that they know: each side holds the other to the contract."""

import pytest

from lakefront.adapters.calls import Calls
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.registry import providers
from lakefront.simulator import Simulator

VERSIONS = [(name, version) for name, adapter in sorted(providers().items()) for version in adapter.api_versions]


@pytest.mark.parametrize(("provider", "version"), VERSIONS, ids=[" ".join(each) for each in VERSIONS])
async def test_a_harmless_call_passes(provider: str, version: str) -> None:
    async with Simulator(seed=1) as city:  # of today: what is signed tells the time
        (door, *_) = [
            each for each in city.endpoints() if (each["provider"], each["api_version"]) == (provider, version)
        ]
        calls = Calls(loopback=True)
        try:
            await providers()[provider](Endpoint(tenant="city", quota_daily=None, version=1, **door), calls).test()
        finally:
            await calls.close()
        tally = city.journal.tallies[provider]
        assert tally.received == 1
        # Some have nothing harmless to ask for but what is not there.
        assert tally.done == 1 or tally.by_status == {"404": 1}
