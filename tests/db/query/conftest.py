"""The made-up city, for reading without GraphQL."""

import asyncpg
import pytest

from tests.city import settle


@pytest.fixture
async def city(dsn: str) -> None:
    """Sixty permits of the tenant ``city`` with addresses and events, and one of another tenant."""
    connection = await asyncpg.connect(dsn)
    try:
        await settle(connection)
    finally:
        await connection.close()
