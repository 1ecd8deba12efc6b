"""A long connection lives no longer than the token that opened it: the one rule for sockets and streams of events."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from lakefront.actor import Actor
from lakefront.errors import LakefrontError, Unauthenticated

Authenticate = Callable[[str | None], Awaitable[Actor]]
"""The Authorization header's value, or ``None`` -> who asks; raises ``Unauthenticated`` or ``Unavailable``."""

CHECK_INTERVAL: Final = 60.0
"""Seconds between two looks whether a token still holds; clocks are set, and notices may be lost."""

_log = logging.getLogger("lakefront.server.token")


class TokenWatch:
    """Looks at one connection's token when it expires, when it may have been revoked, and now and then."""

    def __init__(
        self,
        authenticate: Authenticate,
        authorization: str | None,
        actor: Actor,
        ended: Callable[[Unauthenticated], None],
        trace_id: str,
    ) -> None:
        """``ended`` is called once the token does not hold any more, perhaps more than once; it must not raise."""
        self.actor = actor
        self._authenticate = authenticate
        self._authorization = authorization
        self._ended = ended
        self._trace_id = trace_id
        self._check: asyncio.Task[None] | None = None
        self._closed = False
        self._timer = self._later()

    def look_again(self) -> None:
        """Look now: the token may have been revoked."""
        if self.actor.expires_at is not None and self.actor.expires_at <= time.time():
            self._ended(Unauthenticated("The token has expired. Get a new one and connect again."))
        elif not self._closed and (self._check is None or self._check.done()):
            self._check = asyncio.create_task(self._authenticate_again())

    async def close(self) -> None:
        """Look no more; leaves no task behind."""
        self._closed = True
        self._timer.cancel()
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait([self._check])

    async def _authenticate_again(self) -> None:
        try:
            self.actor = await self._authenticate(self._authorization)
        except Unauthenticated as error:
            self._ended(error)
        except LakefrontError as away:
            # An outage decides nothing about a token.
            _log.info("token not checked trace_id=%s code=%s", self._trace_id, away.code)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # Nor does a failure of ours; but the watch goes on.
            _log.exception("token not checked trace_id=%s", self._trace_id)
        finally:
            self._timer.cancel()
            if not self._closed:
                self._timer = self._later()

    def _later(self) -> asyncio.TimerHandle:
        expires_at = self.actor.expires_at
        left = CHECK_INTERVAL if expires_at is None else expires_at - time.time()
        return asyncio.get_running_loop().call_later(min(CHECK_INTERVAL, max(0.0, left)), self.look_again)
