"""Objects as files below a folder: open with any tool, and as safe against crashes as the file system is (P4)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

from lakefront.adapters.objects.folder import Folder
from lakefront.adapters.objects.keys import check_key, check_prefix
from lakefront.adapters.objects.store import StoredObject
from lakefront.errors import Unavailable

_log = logging.getLogger(__name__)


class LocalStore:
    """An ``ObjectStore`` in a folder that this operating-system user alone can read (folders 0700, files 0600).

    Blocking calls run in threads. A key cannot lie below another object here (``a`` and ``a/b``), as files are no
    folders: such a ``put`` raises ``ObjectConflict``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._files = Folder(self.folder)

    async def open(self) -> None:
        """Make the folder, and remove what killed processes left in it; a failure is logged, and met again by use."""
        try:
            await asyncio.to_thread(self._files.prepare)
        except Unavailable as error:
            _log.warning("objects: %s is not ready: %s", self.folder, error)

    async def close(self) -> None:
        """Nothing is held open."""

    async def put(self, key: str, data: bytes) -> bool:
        """As ``ObjectStore.put`` promises: data, name and folders are on disk when it returns.

        A cancelled ``put`` may still complete: its thread goes on.
        """
        return await asyncio.to_thread(self._files.put, check_key(key), data)

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """As ``ObjectStore.read`` promises; nothing stays open between the parts, as an object never changes."""
        check_key(key)
        offset = 0
        while part := await asyncio.to_thread(self._files.read, key, offset):
            yield part
            offset += len(part)

    async def head(self, key: str) -> StoredObject | None:
        """As ``ObjectStore.head`` promises."""
        size = await asyncio.to_thread(self._files.size, check_key(key))
        return None if size is None else StoredObject(key, size)

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """As ``ObjectStore.list`` promises, one folder in memory at a time."""
        todo: list[StoredObject | str] = [check_prefix(prefix)]
        while todo:
            entry = todo.pop()
            if isinstance(entry, StoredObject):
                yield entry
            else:
                todo += reversed(await asyncio.to_thread(self._files.entries, entry, prefix))

    async def link(self, key: str, *, seconds: int) -> str | None:  # noqa: ARG002 (the protocol's names)
        """None: a folder signs nothing."""
        check_key(key)
        return None
