"""Dead letters, written to the object store: for whoever works through them elsewhere (C12)."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from lakefront.actor import CITY, Actor
from lakefront.adapters.objects import ObjectStore
from lakefront.db.database import Database
from lakefront.domain.outbox import letters
from lakefront.domain.outbox.letters import DeadLetter

PAGE: Final = 1000
"""Letters that are read at once."""

MOST: Final = 10_000
"""Letters of one object."""

_encoder = msgspec.json.Encoder()


class Parts(Protocol):
    """What this takes of ``Services``."""

    @property
    def database(self) -> Database:
        """The application's."""

    @property
    def objects(self) -> ObjectStore:
        """The lake's."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The objects that hold them, oldest first, and how many letters these are."""

    keys: tuple[str, ...]
    letters: int


async def export(parts: Parts, actor: Actor, *, provider: str | None = None, dry_run: bool = False) -> Exported:
    """Write the letters that wait, of ``provider`` or all, as NDJSON, a letter a line; they wait on.

    ``dead-letters/year=…/month=…/day=…/<sha256>.ndjson`` by the day on which an object's first letter died, below the
    tenant's name for others than the city. The same letters make the same object, so that it may be done again. On a
    dry run nothing is written. Needs the scope integrations:manage. Raises ``Unavailable``.
    """
    keys: list[str] = []
    total = 0
    last: DeadLetter | None = None
    while True:
        found: list[DeadLetter] = []
        while len(found) < MOST:
            page = await letters.waiting(parts, actor, provider=provider, after=last, most=PAGE)
            found += page
            if len(page) < PAGE:
                break
            last = page[-1]
        if found:
            keys.append(await _write(parts.objects, actor.tenant, found, dry_run=dry_run))
            total += len(found)
        if len(found) < MOST:
            return Exported(tuple(keys), total)


async def _write(objects: ObjectStore, tenant: str, found: list[DeadLetter], *, dry_run: bool) -> str:
    data = b"".join(_encoder.encode(letter) + b"\n" for letter in found)
    prefix = "" if tenant == CITY else f"{tenant}/"
    name = f"{prefix}dead-letters/year={found[0].died_at:%Y/month=%m/day=%d}/{sha256(data).hexdigest()}.ndjson"
    if not dry_run:
        await objects.put(name, data)
    return name
