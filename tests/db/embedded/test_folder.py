"""The folder of a part: its lock, its socket's place, its log."""

import os
import signal
from pathlib import Path

import pytest

from lakefront.db.embedded import EmbeddedError, folder
from lakefront.db.embedded.folder import Lock, bound_log, make_private, make_socket_folder, socket_folder
from lakefront.db.embedded.process import NOBODY, Child
from tests.db.embedded.support import as_root, open_folder


async def test_a_lock_lasts_while_a_child_that_inherited_it_lives(tmp_path: Path) -> None:
    lock, other = Lock(tmp_path), Lock(tmp_path)
    child = Child(
        ["sleep", "60"], folder=tmp_path, log=tmp_path / "log", lock=lock.acquire(), death_signal=signal.SIGTERM
    )
    lock.release()
    with pytest.raises(BlockingIOError):
        other.acquire()
    with pytest.raises(TimeoutError):
        await other.acquire_when_free(0.1)
    assert other.holder() == f"process {os.getpid()}"
    await child.end(signal.SIGKILL, patience=5)
    await other.acquire_when_free(1)
    other.release()


def test_a_recorded_folder_that_is_a_strangers_is_neither_used_nor_removed(tmp_path: Path) -> None:
    data, stranger = tmp_path / ("long" * 30), tmp_path / "stranger"
    data.mkdir()
    stranger.mkdir(mode=0o755)  # ours would be 0700
    (stranger / "kept").touch()
    (data / "run").symlink_to(stranger)
    with pytest.raises(EmbeddedError, match="nothing runs"):
        socket_folder(data)
    made = make_socket_folder(data, "socket", os.geteuid())
    assert made != stranger
    assert (stranger / "kept").exists()
    assert socket_folder(data) == made
    folder.remove_socket_folder(data)
    assert not made.exists()


def test_a_folder_is_made_private(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir(mode=0o755)
    make_private(part, os.geteuid())
    assert part.stat().st_mode & 0o777 == 0o700


@as_root
def test_another_users_folder_is_refused_and_nobodys_given_back() -> None:
    with open_folder(54_321) as theirs, pytest.raises(EmbeddedError, match="belongs to user 54321"):
        make_private(theirs, os.geteuid())
    with open_folder(NOBODY) as ours:
        (ours / "file").touch()
        os.chown(ours / "file", NOBODY, NOBODY)
        make_private(ours, 0)
        assert {path.stat().st_uid for path in (ours, ours / "file")} == {0}


def test_a_log_is_bounded_under_its_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LOG_LIMIT", 10)
    log = tmp_path / "part.log"
    with log.open("a") as writer:
        print("a long first line", file=writer, flush=True)
        bound_log(log)
        print("second", file=writer, flush=True)
        bound_log(log)
    assert log.read_text() == "second\n"
    assert (tmp_path / "part.log.1").read_text() == "a long first line\n"
