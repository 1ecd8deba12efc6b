"""When API keys were last used, written beside the requests, not in them (L14)."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from lakefront.db.database import Database
from lakefront.domain import api_keys
from lakefront.errors import Unavailable

INTERVAL: Final = 60.0
"""Least seconds between two times that are written of one key."""

_MOST_REMEMBERED: Final = 10_000

_log = logging.getLogger("lakefront.server.auth")


class LastUsed:
    """Takes notes of uses, and writes those of many keys at once; a key's next one only after ``INTERVAL``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted_at: dict[UUID, float] = {}
        self._unwritten: dict[tuple[str, UUID], datetime] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, tenant: str, key_id: UUID) -> None:
        """The key is being used; returns at once."""
        now = time.monotonic()
        if now - self._noted_at.get(key_id, -INTERVAL) < INTERVAL:
            return
        if len(self._noted_at) >= _MOST_REMEMBERED:
            self._noted_at = {key: at for key, at in self._noted_at.items() if now - at < INTERVAL}
        self._noted_at[key_id] = now
        self._unwritten[tenant, key_id] = datetime.now(UTC)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what was noted, and stop."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._unwritten:
            uses, self._unwritten = self._unwritten, {}
            try:
                await api_keys.used(self._database, uses)
            except Unavailable as away:
                _log.info("uses of %d API keys were not written: %s", len(uses), away.code)
            except Exception:  # noqa: BLE001 - logged with its traceback; nobody waits for these times
                _log.exception("uses of %d API keys were not written", len(uses))
