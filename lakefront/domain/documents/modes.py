"""Which documents somebody may send: a mode for all, and other ones for single roles."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from lakefront.settings import Settings


class Mode(StrEnum):
    """What is done with documents that are named by their hash, and with others."""

    APQ = "apq"
    """Every document; by its hash, too, if it is trusted or one of the tenant registered it."""

    OFF = "off"
    """Every document, by its text alone."""

    TRUSTED_ONLY = "trusted-only"
    """None but those that the operator trusts, by their hash or their text."""


_FREEST_FIRST: Final = tuple(Mode)


class Modes:
    """The modes of the settings."""

    def __init__(self, default: Mode = Mode.APQ, by_role: Mapping[str, Mode] | None = None) -> None:
        self._default = default
        self._by_role = dict(by_role or {})

    @classmethod
    def of_settings(cls, settings: Settings) -> "Modes":
        """Those that an operator set."""
        by_role = {role: Mode(mode) for role, mode in settings.persisted_documents_by_role.items()}
        return cls(Mode(settings.persisted_documents), by_role)

    def of(self, roles: Iterable[str]) -> Mode:
        """The mode of whoever has ``roles``: the freest that one of them has of its own, else the one for all.

        Rights add up over roles, and so does this; a role without a mode of its own, or one that nobody knows, frees
        nobody from what another one is held to.
        """
        if not self._by_role:
            return self._default
        own = {self._by_role[role] for role in roles if role in self._by_role}
        return next((mode for mode in _FREEST_FIRST if mode in own), self._default)
