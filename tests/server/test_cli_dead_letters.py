"""``lakefront dead-letters``: listed, replayed, discarded and exported by whoever runs the server (C12)."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.graphql.test_outbox import BURY, PUT, letter_id
from tests.server.forked import lakefront
from tests.server.test_cli import fails_plainly

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
async def command(dsn: str, tmp_path: Path) -> Command:
    """``lakefront dead-letters`` on a database with three of them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(PUT.replace("$1", "'city'").replace("$2", "3"))
        await connection.execute(BURY)
    finally:
        await connection.close()
    environment: dict[str, Any] = {"COLUMNS": "300", "DATABASE_URL": dsn, "LAKEFRONT_DATA": str(tmp_path)}
    return lambda *arguments: lakefront("dead-letters", *arguments, **environment)


def test_they_are_listed_and_decided_on(command: Command) -> None:
    listed = command("list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [letter_id(number) for number in range(3)]
    assert "uncertain" in listed[0]
    assert "upstream_error: It failed. (trace t)" in listed[1]
    assert len(command("list", "--provider", "sendgrid").stdout.splitlines()) == 2
    assert "replayed" in command("replay", letter_id(0), "--not-carried-out").stdout
    assert "discarded" in command("discard", letter_id(1)).stdout
    assert len(command("list").stdout.splitlines()) == 1
    fails_plainly(command("replay", letter_id(1)), "discarded already")
    fails_plainly(command("discard", "nothing"), "no such dead letter")


def test_they_are_exported(command: Command, tmp_path: Path) -> None:
    planned = command("export", "--dry-run").stdout.split()
    assert not (tmp_path / "objects" / planned[0]).exists()
    assert command("export").stdout.split() == planned
    assert len((tmp_path / "objects" / planned[0]).read_text().splitlines()) == 3
