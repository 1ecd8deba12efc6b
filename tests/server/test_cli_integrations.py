"""``lakefront add-city`` and ``integrations``: keys typed unseen on a terminal, or piped, never arguments (C7)."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lakefront.actor import system_actor
from lakefront.adapters.registry import providers
from lakefront.db.database import Database
from lakefront.domain import cities, integrations
from lakefront.domain.integrations import CredentialKeys, Endpoints
from lakefront.domain.integrations.rotation import under_unknown_keys
from lakefront.settings import Settings
from tests.domain.integrations.keepers import Keeping
from tests.server.forked import lakefront
from tests.server.test_cli import ENVIRONMENT, fails_plainly

SECRET, OTHER = "hush-hush-4711", "hush-hush-4712"
BOSTON = ("add-city", "--slug", "bos", "--name", "Boston")
GEOCLIENT = (*BOSTON, "--provider", "geoclient")

_ON_ITS_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("lakefront", run_name="__main__")
"""
"""A command whose terminal is its input, as it is for people: a prompt for a secret asks the terminal itself."""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(dsn: str, tmp_path: Path) -> dict[str, str]:
    """The test's database, and a data folder with its key."""
    CredentialKeys.load_or_create(Settings(data=tmp_path))
    return {"COLUMNS": "300", "DATABASE_URL": dsn, "LAKEFRONT_DATA": str(tmp_path)}


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    """``lakefront`` with something piped into it."""

    def run(*arguments: str, piped: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
        return lakefront(*arguments, piped=piped, **environment | more)

    return run


@pytest.fixture
def keeping(database: Database, tmp_path: Path, environment: dict[str, str]) -> Keeping:
    """The same rows, read with the same keys."""
    return Keeping(database, Endpoints(database, CredentialKeys.load_or_create(Settings(data=tmp_path), create=False)))


def type_in(environment: dict[str, str], arguments: Sequence[str], answers: Sequence[tuple[str, str]]) -> str:
    """What a terminal shows of the command to whose prompts (a part of each) somebody types the answers."""
    master, slave = pty.openpty()

    process = subprocess.Popen(
        [sys.executable, "-c", _ON_ITS_TERMINAL, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**ENVIRONMENT, **environment, "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(slave)
    shown, seen, todo = "", 0, list(answers)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                data = os.read(master, 4096)
            except OSError:  # Linux tells so that the other end is closed
                break
            shown += data.decode()
        if todo and todo[0][0] in shown[seen:] and shown.rstrip().endswith(":"):
            seen = len(shown)
            time.sleep(0.2)  # getpass takes a moment to switch the echo off
            os.write(master, f"{todo.pop(0)[1]}\n".encode())
    os.close(master)
    assert process.wait(10) == 0, shown
    assert not todo, shown
    return shown


async def test_keys_are_typed_unseen(environment: dict[str, str], keeping: Keeping) -> None:
    of_cities = [name for name, adapter in providers().items() if adapter.city_bound]
    shown = type_in(
        environment,
        (*BOSTON, "--time-zone", "America/New_York"),
        [
            *((f"({name}) for Boston?", "y" if name == "geoclient" else "n") for name in of_cities),
            ("base URL", ""),
            ("subscription key", SECRET),
            ("second key", ""),
            ("app_id", ""),
        ],
    )
    assert SECRET not in shown
    assert re.search(r"geoclient of bos +on +v2 +https://api.nyc.gov +set: key", shown)
    found = await keeping.endpoints.require("city", "geoclient", "bos")
    assert found.credentials == {"key": SECRET}
    [city] = await cities.cities(keeping, system_actor())
    assert (city.slug, city.name, city.time_zone) == ("bos", "Boston", "America/New_York")
    shown = type_in(
        environment,
        ("integrations", "set", "geoclient", "--city", "bos"),
        [("base URL", ""), ("Enter keeps it", ""), ("second key", OTHER), ("app_id", "")],
    )
    keeping.endpoints.changed()
    found = await keeping.endpoints.require("city", "geoclient", "bos")
    assert found.credentials == {"key": SECRET, "secondary_key": OTHER}


async def test_keys_are_lines_of_the_input(command: Command, keeping: Keeping) -> None:
    done = command(*GEOCLIENT, "--quota-daily", "500", piped=f"key={SECRET}=\n\nsecondary_key = {OTHER}\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "bos  Boston"
    assert "hush" not in done.stdout + done.stderr
    found = await keeping.endpoints.require("city", "geoclient", "bos")
    assert found.credentials == {"key": f"{SECRET}=", "secondary_key": OTHER}
    assert found.quota_daily == 500
    assert command("integrations", "set", "openweather", "--disable", piped=f"key={SECRET}").returncode == 0
    listed = command("integrations", "list").stdout.splitlines()
    assert re.match(r"geoclient of bos +on +v2 +https://api.nyc.gov +set: key secondary_key$", listed[0])
    assert re.match(r"openweather +off +2.5 +https://api.openweathermap.org +set: key$", listed[1])
    [row, _] = await integrations.integrations(keeping, system_actor())
    assert row.updated_by == "lakefront"


def test_a_city_alone_is_added_and_named_anew(command: Command) -> None:
    assert command(*BOSTON, "--latitude", "42.36", "--longitude", "-71.06").stdout == "bos  Boston\n"
    assert command("add-city", "--slug", "bos", "--name", "The Hub").stdout == "bos  The Hub\n"
    assert command("integrations", "list").stdout == ""
    assert "MISSING: key" in command(*GEOCLIENT).stdout


def test_what_is_wrong_is_told_plainly_and_without_a_secret(command: Command, tmp_path: Path) -> None:
    for piped in (SECRET, f"password={SECRET}", f"key={SECRET}\n{SECRET}"):
        done = command(*GEOCLIENT, piped=piped)
        fails_plainly(done, "is no NAME=VALUE of NYC Geoclient")
        assert "hush" not in done.stderr
    fails_plainly(command(*BOSTON, "--provider", "nothing"), "There is no adapter 'nothing'")
    fails_plainly(command(*BOSTON, "--base-url", "https://x"), "name it by --provider")
    fails_plainly(command(*GEOCLIENT, "--base-url", "http://x"), "must be https")
    fails_plainly(command("add-city", "--slug", "B", "--name", "Boston"), "slug")
    fails_plainly(command(*BOSTON, "--time-zone", "Mars"), "IANA")
    fails_plainly(command(*BOSTON, "--tenant", "nobody"), "There is no such tenant.")
    fails_plainly(command("integrations", "set", "geoclient"), "is of a city")
    fails_plainly(command("integrations", "test", "openweather"), "There is no such integration")
    fails_plainly(command(*BOSTON, "--key", SECRET), "No such option", code=2)
    elsewhere = command(*GEOCLIENT, piped=f"key={SECRET}", LAKEFRONT_DATA=str(tmp_path / "elsewhere"))
    fails_plainly(elsewhere, "Name the server's own data folder")
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "keys" / "credentials.keys").write_text("")
    fails_plainly(command(*GEOCLIENT, piped=f"key={SECRET}"), "holds no key. Restore it from your backup")


async def test_a_new_encryption_key_is_taken(
    command: Command, keeping: Keeping, provisioner: Database, tmp_path: Path
) -> None:
    command(*GEOCLIENT, piped=f"key={SECRET}")
    before = keeping.endpoints.keys.current
    done = command("integrations", "rotate-encryption-key")
    assert done.stdout == "1 integrations and webhooks are under the key in use now that were not.\n"
    found = await keeping.endpoints.require("city", "geoclient", "bos")
    assert found.credentials == {"key": SECRET}, "a server that runs reads it"
    assert keeping.endpoints.keys.current != before
    again = command("integrations", "rotate-encryption-key", "--keep")
    assert again.stdout.startswith("0 integrations")
    (tmp_path / "keys" / "credentials.keys").unlink()
    lost = CredentialKeys.load_or_create(Settings(data=tmp_path))
    assert await under_unknown_keys(provisioner, lost) == 1
    failed = command("integrations", "rotate-encryption-key")
    fails_plainly(failed, "not readable with any key here: city geoclient bos")


async def test_a_failed_trial_says_what_to_do(command: Command) -> None:
    command("integrations", "set", "openweather")
    fails_plainly(command("integrations", "test", "openweather"), "upstream_denied: OpenWeather cannot be called")


@pytest.mark.parametrize("networks", ['["127.0.0.0/8"]', "[]"])
def test_private_networks_are_called_where_the_server_calls_them(command: Command, networks: str) -> None:
    said: list[bytes] = []

    def listen() -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = listening.accept()
                with connection:
                    said.append(connection.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=listen)
        thread.start()
        # A name for 127.0.0.1 that is seen for what it is once it is connected.
        url = f"https://127.1:{listening.getsockname()[1]}"
        command("integrations", "set", "openweather", "--base-url", url, piped="key=k")
        fails_plainly(
            command("integrations", "test", "openweather", LAKEFRONT_INTEGRATION_NETWORKS=networks), "upstream_error"
        )
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert any(said) is (networks != "[]")


def test_doctor_looks_at_the_encryption_keys(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "credentials.keys"
    assert "private (0600)" in command("doctor").stdout
    path.chmod(0o644)
    said = command("doctor").stdout
    assert f"encryption keys: run `chmod 600 {path}`; if others may have read it, run `lakefront integrations" in said
    key = path.read_text().strip()
    given = command("doctor", LAKEFRONT_CREDENTIAL_KEYS=f'["{key}"]').stdout
    assert "1 given" in given
    assert key not in said + given
