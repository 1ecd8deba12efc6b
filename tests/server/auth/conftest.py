"""A server's signing key, and sign-in on the test's database."""

from collections.abc import AsyncIterator

import pytest

from lakefront.domain.services import Services
from lakefront.server.auth import Authenticator, KeyRing
from lakefront.server.keys import SigningKey


@pytest.fixture(scope="package")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey.load_or_create(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def authenticator(key: SigningKey, services: Services) -> AsyncIterator[Authenticator]:
    keys = KeyRing(key, services.database)
    await keys.register()
    made = Authenticator(keys, services)
    yield made
    await made.close()
