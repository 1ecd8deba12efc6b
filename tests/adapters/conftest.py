"""An S3 for the run, and a proxy that can be told to fail in front of it."""

from collections.abc import AsyncIterator, Iterator
from functools import cache

import botocore.session  # type: ignore[import-untyped]
import pytest

from tests.adapters.faults import FaultyProxy
from tests.adapters.s3_server import CREDENTIALS, s3_server

# A client reads the description of all that S3 can do, which takes a quarter of a second: they share one reading.
botocore.session.create_loader = cache(botocore.session.create_loader)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The endpoint of an S3."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment, and no others to be found."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def proxy(s3: str) -> AsyncIterator[FaultyProxy]:
    """A proxy in front of ``s3`` that does nothing wrong until it is told."""
    async with FaultyProxy(s3) as running:
        yield running
