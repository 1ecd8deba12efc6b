"""``lakefront documents``: checked against the schema, stored, listed, removed."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import orjson
import pytest

from lakefront.domain.documents import sha256_of
from tests.server.forked import lakefront
from tests.server.test_cli import fails_plainly

Command = Callable[..., CompletedProcess[str]]

PERMITS = "query Permits { permits { totalCount } }"
ME = "{ me { subject } }\n"


@pytest.fixture
def command(dsn: str, tmp_path: Path) -> Command:
    """``lakefront documents`` on the test's database."""

    def run(*arguments: str) -> CompletedProcess[str]:
        return lakefront("documents", *arguments, DATABASE_URL=dsn, LAKEFRONT_DATA=str(tmp_path / "data"))

    return run


def manifest(folder: Path, *texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "app.json").write_bytes(orjson.dumps({sha256_of(text).hex(): text for text in texts}))
    return folder


def test_from_files_to_the_list(command: Command, tmp_path: Path) -> None:
    folder = manifest(tmp_path / "documents", PERMITS)
    (folder / "me.graphql").write_text(ME)
    made = command("sync", str(folder))
    assert made.returncode == 0, made.stderr
    assert f"added    sha256:{sha256_of(PERMITS).hex()}  Permits" in made.stdout
    assert f"added    sha256:{sha256_of(ME).hex()}  (query)" in made.stdout
    assert "2 added, 0 kept, 0 removed" in made.stderr
    (folder / "me.graphql").unlink()
    again = command("sync", str(folder))
    assert "0 added, 1 kept, 0 removed" in again.stderr
    assert "--prune removes them" in again.stderr
    pruned = command("sync", str(folder), "--prune")
    assert f"removed  sha256:{sha256_of(ME).hex()}  (query)" in pruned.stdout
    (left,) = command("list").stdout.splitlines()
    assert left.startswith(f"sha256:{sha256_of(PERMITS).hex()}  Permits  since 20")
    (folder / "app.json").unlink()
    fails_plainly(command("sync", str(folder), "--prune"), "lakefront documents remove HASH")
    removed = command("remove", left.split()[0])
    assert removed.stdout == f"removed  sha256:{sha256_of(PERMITS).hex()}  Permits\n", removed.stderr
    nothing = command("list")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "No document is trusted. Add some: lakefront documents sync DIR" in nothing.stderr
    fails_plainly(command("remove", left.split()[0]), "No trusted document is named sha256:")
    fails_plainly(command("remove", "Permits"), "'Permits' is no SHA-256 in hex")


def test_what_is_wrong_is_told_and_changes_nothing(command: Command, tmp_path: Path) -> None:
    wrong = "query Wrong { permits { noSuchField } }"
    folder = manifest(tmp_path / "documents", PERMITS, wrong)
    (folder / "fragment.graphql").write_text("fragment F on Permit { permitId }")
    (folder / "broken.json").write_text("{")
    refused = command("sync", str(folder))
    fails_plainly(refused, "These documents cannot be trusted as they are; nothing was changed.")
    assert f"app.json: {sha256_of(wrong).hex()}: 1:25: Cannot query field 'noSuchField'" in refused.stderr
    assert "broken.json: not JSON at line 1, column 2: " in refused.stderr, "all in one round"
    assert "fragment.graphql: " in refused.stderr
    assert command("list").stdout == ""
    assert "does not exist" in command("sync", str(tmp_path / "nowhere")).stderr
