"""What every object store promises; one contract suite holds all drivers to it (P4)."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the store: its key, and its size in bytes as it is stored."""

    key: str
    size: int


class ObjectConflict(Exception):
    """Other bytes are stored under a key that was to be created."""


class ObjectStore(Protocol):
    """Objects by key, written once. Keys are relative paths of plain segments (keys.py); others raise ``ValueError``.

    Every method but ``close`` raises ``Unavailable`` when the store does not answer, and ``NotFound`` for a key that
    is not there where it needs one.
    """

    async def open(self) -> None:
        """Make ready; the store itself may still be away."""
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...

    async def put(self, key: str, data: bytes) -> bool:
        """Create the object, whole or not at all, durable on return; whether it is new.

        False: the same bytes were there already, so that putting again after a failure is safe. Raises
        ``ObjectConflict`` when other bytes are there: an object never changes.
        """
        ...

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """The object's bytes, in parts; who stops before the end closes it (``contextlib.aclosing``)."""
        ...

    async def head(self, key: str) -> StoredObject | None:
        """What is stored under ``key``; None if nothing is."""
        ...

    def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """The objects whose keys begin with ``prefix``, in the order of their keys; never half-written ones."""
        ...

    async def link(self, key: str, *, seconds: int) -> str | None:
        """A URL that hands the object to whoever has it, for ``seconds``; None where the store cannot sign one."""
        ...
