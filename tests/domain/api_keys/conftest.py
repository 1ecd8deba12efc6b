"""Fixtures of the keys' tests."""

import pytest

from lakefront.db.database import Database
from tests.domain.api_keys.keepers import Keeping


@pytest.fixture
def keeping(database: Database) -> Keeping:
    return Keeping.on(database)
