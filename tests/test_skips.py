"""The rule about skips, in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process import ROOT
from tests.skips import NO_SKIP

TESTS = """
import pytest

@pytest.fixture
def node():
    pytest.skip("needs node >= 22 and npm")

def test_in_a_fixture(node): ...

def test_in_the_test():
    pytest.skip("needs a Chromium: install one")

@pytest.mark.skip(reason="nodes are another matter")
def test_by_a_mark(): ...

@pytest.mark.xfail
def test_that_fails(): assert False
"""


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        (None, "3 skipped, 1 xfailed"),
        ("node,npm", "2 skipped, 1 xfailed, 1 error"),
        ("npm, chromium", "1 failed, 1 skipped, 1 xfailed, 1 error"),
        ("1", "1 failed, 1 xfailed, 2 errors"),
    ],
)
def test_a_skip_for_what_cannot_be_missing_is_a_failure(tmp_path: Path, names: str | None, outcome: str) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    kept = {name: value for name, value in os.environ.items() if name not in {NO_SKIP, "PYTEST_ADDOPTS"}}
    environment = kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a tenth of the time
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.skips",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        cwd=ROOT,
        env=environment | ({} if names is None else {NO_SKIP: names}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f" {outcome} in " in done.stdout.splitlines()[-1], done.stdout + done.stderr
