"""``lakefront simulate city`` as a process: it prints where it is, and ends by a signal."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.server.test_cli import ENVIRONMENT, fails_plainly, lakefront


@contextmanager
def simulating(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A simulator on a free port, and its URL."""
    command = [sys.executable, "-m", "lakefront", "simulate", "city", "--port", "0", *arguments]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_serves_until_a_signal() -> None:
    with simulating("--seed", "5", "--faults", "slack:error=1:500", "--limit", "twilio=9/minute") as (process, url):
        told = httpx.get(f"{url}/_control/", trust_env=False).json()
        assert (told["seed"], told["faults"]) == (5, 1)
        assert httpx.get(f"{url}/_control/limits", trust_env=False).json()["twilio"] == "9/minute"
        assert httpx.post(f"{url}/slack/services/T/B/x", json={}, trust_env=False).status_code == 500
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stdout is not None
        output = process.stdout.read()
        assert f"{url}/nyc311" in output
        assert "Traceback" not in output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--faults", "flood=1"], "'flood=1' is no fault"),
        (["--limit", "twilio"], "Write NAME=RATES"),
        (["--limit", "twilio=fast"], "'fast' is no limit"),
        (["--start", "noon"], "'noon' is no time"),
    ],
)
def test_what_it_cannot_do_is_told_plainly(arguments: list[str], told: str) -> None:
    fails_plainly(lakefront("simulate", "city", *arguments), told)
