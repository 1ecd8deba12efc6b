"""Fixtures of the doors' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.server.sockets import Door, opened


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(socket_operations=3, allowed_origins=("https://app.example",)) as door:
        yield door
