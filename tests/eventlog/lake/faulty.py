"""A real folder whose answers are lost, late or missing, as an outside store's may be."""

import asyncio
from pathlib import Path

from lakefront.adapters.objects import LocalStore
from lakefront.errors import Unavailable


class FaultyStore(LocalStore):
    """Fails each ``put``, "before" or "after" the object is there, as ``fails`` says; waits while ``hold`` is clear."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fails: str | None = None
        self.puts: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def put(self, key: str, data: bytes) -> bool:
        self.puts.append(key)
        if self.fails == "before":
            raise Unavailable("The store is away.")
        await self.hold.wait()
        new = await super().put(key, data)
        if self.fails == "after":
            raise Unavailable("The store did not answer in time.")
        return new
