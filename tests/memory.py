"""Where the tests' clusters, databases and files are: in memory, where the machine lets them.

A test's database is some 400 files, copied for it and removed after it: on a disk that is a third of all the work.
Nothing here cuts the power, so a file system that forgets loses nothing. `TMPDIR`, where it is set, is used instead.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

FOLDER = Path("/dev/shm")
NAME = "lf-run-"
"""What the names of our folders there begin with; the rest is the process id."""

SIZE = 3 * 2**30
"""Bytes that must be free there: three workers take up to two thirds of it."""

MEMORY = 6 * 2**30
"""Bytes of memory that must be available: the files, and all that runs beside them."""


def use_memory() -> None:
    """Put temporary files of this process and of those that it starts into memory, if there is enough of it.

    They are in a folder of this run; those of runs that have ended, and may have been killed, are removed.
    """
    if "TMPDIR" in os.environ:
        return
    for left in FOLDER.glob(f"{NAME}*"):
        if not Path("/proc", left.name.removeprefix(NAME)).exists():
            shutil.rmtree(left, ignore_errors=True)
    if _roomy():
        made = FOLDER / f"{NAME}{os.getpid()}"
        made.mkdir(exist_ok=True)
        made.chmod(0o1777)  # as any folder for temporary files: some tests are other users
        os.environ["TMPDIR"] = tempfile.tempdir = str(made)


def _roomy() -> bool:
    """Whether the folder is there, is ours to write in and to run programs from, and has the room."""
    if not os.access(FOLDER, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(FOLDER)
    runs = not found.f_flag & os.ST_NOEXEC  # PostgreSQL's programs may be copied there, for its user to reach them
    return runs and found.f_bavail * found.f_frsize >= SIZE and psutil.virtual_memory().available >= MEMORY
