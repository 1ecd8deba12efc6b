"""Who manages keys in tests, and with what."""

from dataclasses import dataclass

from lakefront.actor import Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain.api_keys import NewKey, find
from lakefront.domain.rights import Rights
from lakefront.settings import Settings

ACME = "acme_corp"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What managing keys takes."""

    database: Database
    rights: Rights
    settings: Settings

    @classmethod
    def on(cls, database: Database) -> "Keeping":
        """On ``database``, with the settings that hold where nobody sets any."""
        return cls(database, Rights(database), Settings())

    async def holds(self, key: NewKey) -> bool:
        """Whether somebody who brings the key's text is let in."""
        found = await find(self.database, key.text)
        assert found is None or found.key_id == key.key.key_id
        return found is not None


def admin(tenant: str = ACME) -> Actor:
    """One who may do everything in the tenant."""
    return system_actor(tenant)
