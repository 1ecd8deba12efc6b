"""Whose log is read for rules: who has none about a stream costs nothing, however much is appended to it."""

import time
from typing import Final

import msgspec

from lakefront.db.database import Database
from lakefront.eventlog.backlog import Backlog

CHANNEL: Final = "lakefront_notice_rules"
"""NOTIFY channel: a rule was written. The payload is the stream that it is about."""

OTHERS_EVERY: Final = 60.0
"""Seconds between two looks at who has no rules: their offset is moved on, as other readers go by it."""

_WITH_RULES: Final = """
SELECT coalesce(json_agg(DISTINCT tenant_id), '[]') FROM lakefront.notice_rules WHERE stream = $1 AND enabled
"""


class Readers(Backlog):
    """The backlog of one stream, of those who have rules about it; of all, now and then."""

    def __init__(self, provisioner: Database, *, others_every: float = OTHERS_EVERY) -> None:
        """``others_every``: seconds."""
        super().__init__(provisioner)
        self._others_every = others_every
        self._others_at = 0.0
        self._with_rules: frozenset[str] = frozenset()

    async def tenants(self, consumer: str, stream: str | None = None) -> dict[str, int]:
        """See ``Backlog``."""
        told = await self._provisioner.text(_WITH_RULES, stream)
        self._with_rules = frozenset(msgspec.json.decode(told, type=list[str]))
        found = await super().tenants(consumer, stream)
        if time.monotonic() >= self._others_at:
            self._others_at = time.monotonic() + self._others_every
            return found
        return {tenant: mark for tenant, mark in found.items() if tenant in self._with_rules}

    def wants(self, notice: str) -> bool:
        """Whether an append (``tenant|stream``) is of somebody who has rules, as far as was seen."""
        return notice.rpartition("|")[0] in self._with_rules
