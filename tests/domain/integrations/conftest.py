"""Fixtures of the integrations' tests."""

from collections.abc import Iterator

import pytest

from lakefront.db.database import Database
from tests.domain.integrations.keepers import Keeping, with_providers


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with with_providers():
        yield


@pytest.fixture
def keeping(database: Database) -> Keeping:
    return Keeping.on(database)
