"""The folder of an embedded part: private, locked while in use, with a place for a socket whatever its path."""

import asyncio
import fcntl
import logging
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

from lakefront.db.embedded.errors import EmbeddedError
from lakefront.db.embedded.process import NOBODY

_log = logging.getLogger(__name__)

SOCKET_PATH_LIMIT = 107
"""Bytes of a unix socket's path (`sun_path`, less its final NUL)."""

LOG_LIMIT = 10_000_000
"""Bytes of a part's log file; one older file of that size is kept beside it."""


class Lock:
    """A lock on a folder that the kernel lets go when the last process holding it has died.

    The holder's pid stands in the file, for the message only. The file is never removed: a lock on a removed file
    would exclude nobody.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> int:
        """Take the lock and return its descriptor, for a child to inherit; raises BlockingIOError if it is held."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise EmbeddedError(
                f"{self._path} cannot be opened ({error.strerror}); start Lakefront as the user that owns the folder, "
                "or choose another folder"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return descriptor

    async def acquire_when_free(self, patience: float) -> int:
        """Take the lock within `patience` seconds; raises TimeoutError after them."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return self.acquire()
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError from None
            await asyncio.sleep(0.02)

    def release(self) -> None:
        """Close our descriptor; children that inherited it still hold the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> str:
        """What the file says of who took the lock last."""
        return f"process {self._path.read_text() or 'unknown'}"


def make_private(folder: Path, owner: int) -> None:
    """Make `folder` if missing, 0700 and owned by uid `owner`; raises EmbeddedError if it is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat().st_uid
        if found != owner and os.geteuid() == 0 and {found, owner} == {0, NOBODY}:
            give(folder, owner)  # root's choice between a namespace and `nobody` may change with the machine
        elif found != owner:
            raise EmbeddedError(
                f"{folder} belongs to user {found}; start Lakefront as that user, or choose another folder"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedError(
            f"{folder} cannot be used ({error.strerror}); choose a folder that you may write"
        ) from error


def make_data_folder(data: Path, owner: int) -> None:
    """Make the data folder, 0700, if missing; one that is there may hold more than ours, and keeps its mode.

    If a part's folder in it will be `owner`'s and we are another, that user's group may pass through (0710).
    """
    try:
        if data.is_dir():
            return
        data.mkdir(mode=0o700, parents=True)
        if owner != os.geteuid():
            os.chown(data, -1, owner)
            data.chmod(0o710)
    except OSError as error:
        raise EmbeddedError(f"{data} cannot be made ({error.strerror}); choose another with `--data DIR`") from error


def give(folder: Path, owner: int) -> None:
    """Make uid `owner` the owner of the folder and of everything in it; we must be root."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner if owner else os.getegid(), follow_symlinks=False)


TEMPORARY: Final = "lakefront-"
"""What the names of temporary folders for sockets begin with."""


def make_socket_folder(folder: Path, socket: str, owner: int) -> Path:
    """Return an empty 0700 folder in which the path of `socket` is short enough.

    It is `folder/run`; where that is too long, a folder among the temporary ones, to which `folder/run` then links. One
    that is left of a crash is used again: whoever was connected looks for the socket there.
    """
    run = folder / "run"
    if (left := _left_over(run, socket)) is not None:
        return left
    remove_socket_folder(folder)
    if _addressable(run / socket):
        run.mkdir(mode=0o700)
        os.chown(run, owner, -1, follow_symlinks=False)
        return run
    for base in _bases():
        if os.access(base, os.W_OK) and _addressable(Path(base, f"{TEMPORARY}01234567", socket)):
            short = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=base))
            os.chown(short, owner, -1)
            run.symlink_to(short)
            return short
    raise EmbeddedError(
        f"no folder for a socket: the path of {folder} is too long and no temporary folder can be written"
    )


def _bases() -> tuple[str, ...]:
    return (tempfile.gettempdir(), "/tmp")  # noqa: S108 - mkdtemp makes a new private folder in it


def _left_over(run: Path, socket: str) -> Path | None:
    """The temporary folder to which `run` links, emptied; None if there is none that is surely one of these."""
    if not run.is_symlink():
        return None
    left = run.readlink()
    named = left.name.startswith(TEMPORARY) and str(left.parent) in _bases()
    if not named or not _is_ours(left) or not _addressable(left / socket):
        return None
    for path in left.iterdir():
        path.unlink()
    return left


def socket_folder(folder: Path) -> Path:
    """Return the folder that `make_socket_folder` last made for `folder`; raises EmbeddedError if there is none."""
    run = folder / "run"
    try:
        found = run.readlink() if run.is_symlink() else run
        if _is_ours(found):
            return found
    except OSError as error:
        raise EmbeddedError(
            f"{folder} cannot be read ({error.strerror}); be the user that `lakefront serve` runs as"
        ) from error
    raise EmbeddedError(f"nothing runs in {folder}; start it with `lakefront serve`")


def remove_socket_folder(folder: Path) -> None:
    """Remove it with whatever is in it; a folder of that name that is not ours is left alone."""
    run = folder / "run"
    if run.is_symlink():
        if _is_ours(run.readlink()):
            shutil.rmtree(run.readlink())
        run.unlink()
    elif run.exists():
        shutil.rmtree(run)


def bound_log(log: Path) -> None:
    """Move the log's text to `<log>.1` once it has grown past LOG_LIMIT; its writer, which appends, goes on at 0.

    On a full disk the older text is dropped: this is called by what must not stop.
    """
    if not log.exists() or log.stat().st_size <= LOG_LIMIT:
        return
    older = log.with_name(f"{log.name}.1")
    # Neither through a link: we may be root in a folder that is `nobody`'s.
    with os.fdopen(os.open(log, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
        try:
            older.unlink(missing_ok=True)
            with older.open("xb") as copy:
                shutil.copyfileobj(file, copy)
        except OSError as error:
            _log.warning("the older part of %s is lost: %s", log, error.strerror)
        file.truncate(0)


def _addressable(socket: Path) -> bool:
    # A comma separates hosts in a connection string.
    return len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT and "," not in str(socket)


def _is_ours(folder: Path) -> bool:
    """Whether only we may enter it: a name recorded among the temporary folders may be a stranger's by now."""
    owners = {os.geteuid(), NOBODY} if os.geteuid() == 0 else {os.geteuid()}
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid in owners and stat.S_IMODE(found.st_mode) == 0o700
