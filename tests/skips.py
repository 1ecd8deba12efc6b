"""With `LAKEFRONT_TESTS_NO_SKIP=node,npm`, a test that skips because one of these is missing fails instead."""

import os
import re
from collections.abc import Generator

import pytest

NO_SKIP = "LAKEFRONT_TESTS_NO_SKIP"
"""Names, by commas, of what cannot be missing; a skip whose reason has one of them as a word fails. `1`: any skip."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of one phase of a test, a failure where it may not be a skip."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and _must_run(reason := report.longrepr[2]):
        report.outcome = "failed"
        report.longrepr = f"{reason}\n\n{NO_SKIP}={os.environ[NO_SKIP]} says that this cannot be missing here."
    return report


def _must_run(reason: str) -> bool:
    names = [re.escape(name.strip()) for name in os.environ.get(NO_SKIP, "").split(",") if name.strip()]
    if names == ["1"]:
        return True
    return bool(names) and re.search(rf"\b({'|'.join(names)})\b", reason, re.IGNORECASE) is not None
