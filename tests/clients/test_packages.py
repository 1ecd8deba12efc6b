"""The npm packages of the tests and of the examples: pinned, and from wherever npm is told to take them."""

from pathlib import Path

import orjson
import pytest

from tests.clients.node import FOLDER
from tests.process import ROOT


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "examples"], ids=lambda folder: folder.name)
def test_the_lock_file_names_no_registry(folder: Path) -> None:
    text = (folder / "package-lock.json").read_text()
    assert "://" not in text
    assert "resolved" not in text
    packages = {name: told for name, told in orjson.loads(text)["packages"].items() if name}
    assert packages
    assert all("integrity" in told for told in packages.values())
