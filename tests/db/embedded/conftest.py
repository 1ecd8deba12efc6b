"""One cluster made for the run and copied for each test that needs just any: initdb is the dear part of a start."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lakefront.db.embedded import EmbeddedPostgres
from tests.db.embedded.support import FAST


@pytest.fixture(scope="session")
async def ready_made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Puts a stopped PostgreSQL cluster into a folder and returns that."""
    made = EmbeddedPostgres(tmp_path_factory.mktemp("ready-made") / "postgres", parameters=FAST)
    await made.start()
    await made.stop()

    def put(folder: Path) -> Path:
        shutil.copytree(made.folder / "data", folder / "data")
        return folder

    return put
