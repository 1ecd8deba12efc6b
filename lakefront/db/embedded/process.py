"""A child process that does not outlive this one, and the rights it runs with."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path

from lakefront.db.embedded.errors import EmbeddedError

NOBODY = 65534

# The kernel's death signal misses a parent that died before it was asked for: whoever has another parent by then, ends.
_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'


class Rights(Enum):
    """As whom a child runs."""

    OWN = "own"
    NAMESPACE = "namespace"
    """In a user namespace where we are `nobody`: outside, its files stay ours and closed parent folders stay closed."""
    NOBODY = "nobody"
    """As the system's `nobody`, who must be able to reach its folder and its binaries."""

    @property
    def owner(self) -> int:
        """The uid that must own the child's folder."""
        return NOBODY if self is Rights.NOBODY else os.geteuid()

    def prefix(self) -> list[str]:
        """The command that takes on these rights and then runs the rest of its arguments."""
        match self:
            case Rights.OWN:
                return []
            case Rights.NAMESPACE:
                return [tool("unshare"), "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]
            case Rights.NOBODY:
                return [tool("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]


def unprivileged() -> Rights:
    """Rights for a program that refuses root, or that wants its user to have a name (PostgreSQL does both)."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Rights.OWN
    if _namespaces_allowed():
        return Rights.NAMESPACE
    if os.geteuid() == 0:
        return Rights.NOBODY
    raise EmbeddedError(
        f"user {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL wants, "
        "and user namespaces are forbidden here; add an entry, or set DATABASE_URL"
    )


class Child:
    """A running process in its own session, so that Ctrl-C does not reach it.

    It gets `death_signal` when the *thread* that made it ends (that is how the kernel counts): make it from one that
    lives as long as the server does. `lock` is a descriptor that it and its children keep open while they live.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        log: Path,
        lock: int,
        death_signal: signal.Signals,
        rights: Rights = Rights.OWN,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        until_parent_dies = [tool("setpriv"), f"--pdeathsig={death_signal.name}", "--"]  # last: taking rights clears it
        guard = [tool("sh"), "-c", _UNLESS_ORPHANED, str(os.getpid())]
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - the program is ours, its arguments are a list
                [*rights.prefix(), *until_parent_dies, *guard, *argv],
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=(lock,),
                start_new_session=True,
            )
        finally:
            os.close(out)

    @property
    def pid(self) -> int:
        """Its process id; safe to signal while `running()`, as only we can reap it."""
        return self._popen.pid

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    async def wait(self) -> int:
        """Return its exit code (minus the signal that killed it) once it has ended; any number may wait."""
        if self._popen.poll() is None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            descriptor = os.pidfd_open(self._popen.pid)
            try:
                loop.add_reader(descriptor, ended.set)
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        return self._popen.wait()

    async def end(self, *signals: signal.Signals, patience: float) -> int:
        """Send each signal in turn, `patience` seconds apart, until it has ended, and return its exit code."""
        for each in signals:
            self._popen.send_signal(each)
            try:
                return await asyncio.wait_for(self.wait(), patience)
            except TimeoutError:
                continue
        return await self.wait()


def tool(name: str) -> str:
    """Path of a program of the base system; raises EmbeddedError where it is missing."""
    path = shutil.which(name) or shutil.which(name, path=os.defpath)
    if path is None:
        raise EmbeddedError(
            f"the embedded parts need `{name}` (Linux, package util-linux); "
            "install it, or set DATABASE_URL and REDIS_URL"
        )
    return path


def succeeds(rights: Rights, name: str, *arguments: str) -> bool:
    """Whether the base system's program `name` exits with 0 under `rights`; takes milliseconds."""
    command = [*rights.prefix(), tool(name), *arguments]
    return subprocess.run(command, capture_output=True, check=False, env={}, cwd="/").returncode == 0  # noqa: S603


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


@cache
def _namespaces_allowed() -> bool:
    return succeeds(Rights.NAMESPACE, "true")
