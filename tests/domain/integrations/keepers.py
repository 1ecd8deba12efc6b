"""Who manages integrations in tests, with what, and two providers whose adapters say all that there is to say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from unittest.mock import patch

from lakefront.actor import Actor, system_actor
from lakefront.adapters.base import Adapter
from lakefront.db.database import Database
from lakefront.domain import cities, integrations
from lakefront.domain.cities import CityInput
from lakefront.domain.integrations import Change, CredentialKeys, Endpoints, IntegrationInput
from lakefront.settings import Settings

ACME = "acme_corp"
SECRET = "hush-hush-4711"
OTHER = "hush-hush-4712"


class Parcels(Adapter):
    """A provider that is of a city, with a second key and two versions."""

    provider = "parcels"
    title = "Parcels"
    default_base_url = "https://parcels.example/api"
    api_versions = ("v2", "v1")
    credentials: ClassVar = {"api_key": "the key", "second_key": "a key for when the first is used up"}
    optional_credentials = frozenset({"second_key"})
    quota_daily = 1000
    city_bound = True

    async def test(self) -> None:
        """Nothing is asked."""


class Skies(Adapter):
    """A provider that is of no city."""

    provider = "skies"
    title = "Skies"
    default_base_url = "https://skies.example"
    api_versions = ("1",)
    credentials: ClassVar = {"app_id": "the application's id"}

    async def test(self) -> None:
        """Nothing is asked, but the credential must be there."""
        self.credential("app_id")


@contextmanager
def with_providers() -> Iterator[None]:
    """There are these two, and no others."""
    found: Mapping[str, type[Adapter]] = {"parcels": Parcels, "skies": Skies}
    with patch("lakefront.domain.integrations.integration.providers", lambda: found):
        yield


@dataclass(frozen=True, slots=True)
class Keeping:
    """What managing integrations takes."""

    database: Database
    endpoints: Endpoints
    settings: Settings = field(default_factory=Settings)

    @classmethod
    def on(cls, database: Database, keys: CredentialKeys | None = None) -> "Keeping":
        """On ``database``, with a key of its own unless some are given."""
        return cls(database, Endpoints(database, keys or CredentialKeys.ephemeral()))

    async def add_city(self, slug: str = "bos", tenant: str = ACME) -> None:
        await cities.upsert(self, admin(tenant), CityInput(slug, slug.title()))

    async def put(self, tenant: str = ACME, **given: object) -> Change:
        """Let there be Parcels of Boston, unless ``given`` says otherwise, with a key."""
        values = {"provider": "parcels", "city": "bos", "credentials": {"api_key": SECRET}, **given}
        return await integrations.upsert(self, admin(tenant), IntegrationInput(**values))  # type: ignore[arg-type]


def admin(tenant: str = ACME) -> Actor:
    """One who may do everything in the tenant."""
    return system_actor(tenant)
