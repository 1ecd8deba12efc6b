"""Providers are found by their files; a file that is no provider says so."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakefront.adapters import providers as folder
from lakefront.adapters.base import Adapter
from lakefront.adapters.registry import providers

CITY = '''
from lakefront.adapters.base import Adapter


class Atlantis(Adapter):
    """One file is one city."""

    provider = "{name}"
    title = "Atlantis 311"
    default_base_url = "https://311.atlantis.example"
    api_versions = ("1",)

    async def test(self) -> None:
        """Nothing to test."""
'''


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are providers, too."""
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    before = set(sys.modules)
    providers.cache_clear()
    yield tmp_path
    providers.cache_clear()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_every_file_is_a_provider() -> None:
    files = {path.stem for path in Path(str(folder.__file__)).parent.glob("*.py")} - {"__init__"}
    assert set(providers()) == files
    assert list(providers()) == sorted(files)
    assert all(issubclass(adapter, Adapter) for adapter in providers().values())


def test_a_city_is_one_file(more: Path) -> None:
    (more / "atlantis.py").write_text(CITY.format(name="atlantis"))
    assert providers()["atlantis"].title == "Atlantis 311"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("X = 1\n", "it has 0"),
        (CITY.format(name="other"), "name both the same"),
        (CITY.format(name="lemuria") + "\n\nclass Second(Atlantis):\n    pass\n", "it has 2"),
        (CITY.format(name="lemuria").replace("def test", "def tests"), "write test"),
    ],
)
def test_what_is_no_provider_says_so(more: Path, text: str, told: str) -> None:
    (more / "lemuria.py").write_text(text)
    with pytest.raises(TypeError, match=told):
        providers()
