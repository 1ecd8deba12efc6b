"""What use-cases of tenants take of ``Services``: a command line has no more, and ``Services`` has some of them."""

from typing import Protocol

from lakefront.adapters.objects import ObjectStore
from lakefront.db.database import Database
from lakefront.settings import Settings


class Parts(Protocol):
    """The settings, the database under two roles, and the lake's objects."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def database(self) -> Database:
        """The application's, which sees one tenant at a time."""

    @property
    def provisioner(self) -> Database:
        """The one that sees and makes tenants."""

    @property
    def objects(self) -> ObjectStore:
        """The lake's objects."""
