"""The blocking half of the local store: files that appear whole, and paths that cannot lead out of their folder."""

import errno
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lakefront.adapters.objects.keys import is_segment
from lakefront.adapters.objects.store import ObjectConflict, StoredObject
from lakefront.errors import NotFound, Unavailable

INCOMING = ".incoming"
"""Where files are written before they get their name. No key begins with a dot, so nothing in it is ever listed."""

ABANDONED = 3600.0
"""Seconds after which a file in INCOMING belongs to a process that was killed."""

PART = 1024 * 1024
"""Bytes that are read at once."""

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _ROOT | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}
"""What opening a file or a symbolic link as a folder ends in."""

_ADVICE = {
    errno.ENOSPC: "its disk is full; free some space",
    errno.EDQUOT: "its disk quota is used up; free some space or raise the quota",
    errno.EROFS: "its file system is read-only; mount it for writing",
    errno.EACCES: "the server's user may not read or write there; give it the right to",
    errno.EPERM: "the server's user may not write there, or its file system has no hard links; choose another folder",
    errno.EOPNOTSUPP: "its file system has no hard links; choose a folder on another one",
    errno.EXDEV: "a folder below it is on another file system; keep all of it on one",
    errno.ENOENT: "it is missing; mount or make it",
    errno.ENOTDIR: "it is not a folder; choose another path",
}

_log = logging.getLogger(__name__)


class Folder:
    """Create-only files below one folder, by keys that ``check_key`` let pass.

    Every path is walked from the folder's own descriptor, one segment at a time and never through a symbolic link, so
    nothing below the folder, whoever put it there, leads out of it. All methods block, and raise ``Unavailable`` for
    what the operating system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder, and remove what was written to by nobody for ``ABANDONED`` seconds."""
        oldest = time.time() - ABANDONED
        with self._errors("prepared"), self._entered(INCOMING, make=True) as (*_, incoming):
            for name in os.listdir(incoming):  # noqa: PTH208 (a descriptor has no Path)
                with suppress(FileNotFoundError):  # another process cleans, too
                    if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime < oldest:
                        os.unlink(name, dir_fd=incoming)

    def put(self, key: str, data: bytes) -> bool:
        """Create the file, durable on return; False if it is there with the same bytes, else ``ObjectConflict``."""
        above, _, name = key.rpartition("/")
        with (
            self._errors("written"),
            self._entered(INCOMING, make=True) as (*_, incoming),
            self._entered(above, make=True) as folders,
        ):
            parent = folders[-1]
            # Looking first spares a full disk a second copy; what decides is the link in _create.
            new = not _is_there(parent, key, data) and _create(incoming, parent, name, data)
            if not new and not _is_there(parent, key, data):
                raise Unavailable("The object was removed while it was written. Nothing may delete objects; try again.")
            # Folders that were here already, too: whoever made them may have been killed before this.
            for descriptor in reversed(folders):
                os.fsync(descriptor)
            return new

    def read(self, key: str, offset: int) -> bytes:
        """At most ``PART`` bytes from ``offset`` on, none at the end; raises ``NotFound``."""
        with self._errors("read"), self._file(key) as descriptor:
            if descriptor is None:
                raise NotFound(f"There is no object {key!r} in the store.")
            return os.pread(descriptor, PART, offset)

    def size(self, key: str) -> int | None:
        """The size of the file in bytes; None if there is none."""
        with self._errors("read"), self._file(key) as descriptor:
            return None if descriptor is None else os.fstat(descriptor).st_size

    def entries(self, folder: str, prefix: str) -> list[StoredObject | str]:
        """Objects in ``folder`` and folders (as paths), as far as ``prefix`` lets them pass, in the order of keys."""
        found: dict[str, StoredObject | str] = {}
        with self._errors("listed"), ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._entered(folder))[-1]
            except _NoFolder:
                return []
            for entry in stack.enter_context(os.scandir(descriptor)):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not is_segment(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    # A folder's place is that of its slash, as in the keys: "a-b" comes before "a/b".
                    if f"{path}/".startswith(prefix) or prefix.startswith(f"{path}/"):
                        found[f"{path}/"] = path
                elif entry.is_file(follow_symlinks=False) and path.startswith(prefix):
                    found[path] = StoredObject(path, entry.stat(follow_symlinks=False).st_size)
        return [found[path] for path in sorted(found)]

    @contextmanager
    def _file(self, key: str) -> Iterator[int | None]:
        """A descriptor of the object's file; None if there is none."""
        above, _, name = key.rpartition("/")
        with ExitStack() as stack:
            descriptor = None
            with suppress(_NoFolder):  # a store whose own folder is missing is away: that is told as it is
                parent = stack.enter_context(self._entered(above))[-1]
                with suppress(_NotRegular, FileNotFoundError):
                    descriptor = stack.enter_context(_regular(parent, name))
            yield descriptor

    @contextmanager
    def _entered(self, path: str, *, make: bool = False) -> Iterator[list[int]]:
        """Descriptors of the store's folder and of each one down to ``path``; made where missing if ``make`` says so.

        Raises ``_NoFolder`` (``ObjectConflict`` if making) where a segment is something else, or missing.
        """
        if make and not self.path.exists():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _fsync_folder(self.path.parent)
        with ExitStack() as stack:
            folders = [os.open(self.path, _ROOT)]  # it may be a symbolic link itself: that is the operator's choice
            stack.callback(os.close, folders[0])
            for segment in path.split("/") if path else ():
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(segment, mode=0o700, dir_fd=folders[-1])
                try:
                    folders.append(os.open(segment, _FOLDER, dir_fd=folders[-1]))
                except OSError as error:
                    if make and error.errno in _NO_FOLDER:
                        raise ObjectConflict(
                            f"{segment!r} on the way to {path!r} is no folder. Choose another key."
                        ) from error
                    if error.errno in _NO_FOLDER | {errno.ENOENT}:
                        raise _NoFolder(segment) from error
                    raise
                stack.callback(os.close, folders[-1])
            yield folders

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _log.warning("objects: %s could not be %s: %s", self.path, done, error)
            number = error.errno or errno.EIO
            advice = _ADVICE.get(number, f"{os.strerror(number)}; look after its disk")
            raise Unavailable(f"The object store's folder could not be {done}: {advice}.") from error


class _NoFolder(Exception):
    """A segment of a path is no folder, or is not there."""


class _NotRegular(Exception):
    """Something that is not a plain file has the name of one."""


def _create(incoming: int, parent: int, name: str, data: bytes) -> bool:
    """Write the file whole and on disk, then give it its name; False if that name is taken."""
    temporary = f"{os.getpid()}-{secrets.token_hex(8)}"
    descriptor = os.open(temporary, _NEW, 0o600, dir_fd=incoming)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(temporary, name, src_dir_fd=incoming, dst_dir_fd=parent, follow_symlinks=False)
    except FileExistsError:
        return False
    else:
        return True
    finally:
        with suppress(FileNotFoundError):  # a process with another clock cleaned it
            os.unlink(temporary, dir_fd=incoming)


def _is_there(parent: int, key: str, data: bytes) -> bool:
    """Whether exactly ``data`` is stored as ``key``; False if nothing is, ``ObjectConflict`` if anything else is."""
    name = key.rpartition("/")[-1]
    conflict = ObjectConflict(f"Something else is stored as {key!r} already. Objects never change: choose another key.")
    try:
        with _regular(parent, name) as descriptor:
            if os.fstat(descriptor).st_size != len(data):
                raise conflict
            for offset in range(0, len(data), PART):
                if os.pread(descriptor, PART, offset) != data[offset : offset + PART]:
                    raise conflict
    except FileNotFoundError:
        return False
    except _NotRegular as error:
        raise conflict from error
    return True


@contextmanager
def _regular(parent: int, name: str) -> Iterator[int]:
    """A descriptor of a plain file; ``FileNotFoundError`` if there is none, ``_NotRegular`` for anything else."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise _NotRegular(name) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _NotRegular(name)
        yield descriptor
    finally:
        os.close(descriptor)


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, _ROOT)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
