"""Objects as files below a folder: open with any tool, and as safe against crashes as the file system is (P4)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

from lakefront.adapters.objects.folder import Folder
from lakefront.adapters.objects.keys import check_key, check_prefix
from lakefront.adapters.objects.store import StoredObject
from lakefront.adapters.objects.threads import Threads
from lakefront.errors import Unavailable

THREADS = 4
"""Calls into the folder at a time; should they hang, nothing else of the process does."""

_log = logging.getLogger(__name__)


class LocalStore:
    """An ``ObjectStore`` in a folder that this operating-system user alone can read (folders 0700, files 0600).

    Blocking calls run in ``THREADS`` threads of its own: a folder that hangs (a network drive's whose server is gone)
    holds up nobody else, nor the end of the process. A hanging call cannot be ended, though: once that many hang, the
    store answers nothing until the drive comes back.

    A key cannot lie below another object here (``a`` and ``a/b``), as files are no folders: such a ``put`` raises
    ``ObjectConflict``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._files = Folder(self.folder)
        self._threads = Threads(THREADS)
        self._puts: dict[str, asyncio.Future[bool]] = {}

    async def open(self) -> None:
        """Make the folder, and remove what killed processes left in it; a failure is logged, and met again by use."""
        try:
            await self._threads.run(self._files.prepare)
        except Unavailable as error:
            _log.warning("objects: %s is not ready: %s", self.folder, error)

    async def close(self) -> None:
        """Nothing is held open; a call that hangs is not waited for."""

    async def put(self, key: str, data: bytes) -> bool:
        """As ``ObjectStore.put`` promises: data, name and folders are on disk when it returns.

        A cancelled ``put`` may still complete, as its thread goes on; another of the same key waits for that one, so
        that who tries again and again at a folder that hangs takes no second thread for it.
        """
        check_key(key)
        await self._threads.take()
        while (running := self._puts.get(key)) is not None:
            self._threads.give_back()
            await asyncio.wait([running])  # whatever comes of it: the bytes may be others
            await self._threads.take()
        self._puts[key] = mine = self._threads.start(self._files.put, key, data)
        mine.add_done_callback(lambda _: self._puts.pop(key))
        return await asyncio.shield(mine)

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """As ``ObjectStore.read`` promises; nothing stays open between the parts, as an object never changes."""
        check_key(key)
        offset = 0
        while part := await self._threads.run(self._files.read, key, offset):
            yield part
            offset += len(part)

    async def head(self, key: str) -> StoredObject | None:
        """As ``ObjectStore.head`` promises."""
        size = await self._threads.run(self._files.size, check_key(key))
        return None if size is None else StoredObject(key, size)

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """As ``ObjectStore.list`` promises, one folder in memory at a time."""
        todo: list[StoredObject | str] = [check_prefix(prefix)]
        while todo:
            entry = todo.pop()
            if isinstance(entry, StoredObject):
                yield entry
            else:
                todo += reversed(await self._threads.run(self._files.entries, entry, prefix))

    async def link(self, key: str, *, seconds: int) -> str | None:  # noqa: ARG002 (the protocol's names)
        """None: a folder signs nothing."""
        check_key(key)
        return None
