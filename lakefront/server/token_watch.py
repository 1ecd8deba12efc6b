"""A long connection lives no longer than what it was opened with: the one rule for sockets and streams of events."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from lakefront.actor import Actor
from lakefront.errors import Forbidden, LakefrontError, Unauthenticated
from lakefront.server.credentials import Credentials

Authenticate = Callable[[Credentials], Awaitable[Actor]]
"""Credentials -> who asks; raises ``Unauthenticated``, ``Forbidden`` (a suspended tenant) or ``Unavailable``."""

CHECK_INTERVAL: Final = 60.0
"""Seconds between two looks whether credentials still hold; clocks are set, and notices may be lost."""

_log = logging.getLogger("lakefront.server.token")


class TokenWatch:
    """Looks at one connection's credentials when they expire, when they may have been revoked, and now and then."""

    def __init__(
        self,
        authenticate: Authenticate,
        credentials: Credentials,
        actor: Actor,
        ended: Callable[[LakefrontError], None],
        renewed: Callable[[Actor], Awaitable[None]],
        trace_id: str,
    ) -> None:
        """``ended`` is called once the credentials do not hold any more, perhaps more than once.

        ``renewed`` is called with the actor that it is from now on, where that may do other things than before or ends
        at another time. Neither must raise.
        """
        self.actor = actor
        self._authenticate = authenticate
        self._credentials = credentials
        self._ended = ended
        self._renewed = renewed
        self._trace_id = trace_id
        self._check: asyncio.Task[None] | None = None
        self._told_again = False
        self._unchecked = False
        self._closed = False
        self._timer = self._later()
        self.look_again()  # what was told between the sign-in and now, nobody told us

    def look_again(self) -> None:
        """Look now: the credentials may have been revoked, their tenant suspended, or the policy changed."""
        if self.actor.expires_at is not None and self.actor.expires_at <= time.time():
            self._ended(Unauthenticated("The token has expired. Get a new one and connect again."))
        elif self._closed:
            pass
        elif self._check is None or self._check.done():
            self._check = asyncio.create_task(self._authenticate_again())
        else:
            self._told_again = True  # what is being read may be older than what we were told just now

    async def close(self) -> None:
        """Look no more; leaves no task behind."""
        self._closed = True
        self._timer.cancel()
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait([self._check])

    async def _authenticate_again(self) -> None:
        try:
            self._told_again = True
            while self._told_again:
                self._told_again = False
                await self._look()
        finally:
            self._timer.cancel()
            if not self._closed:
                self._timer = self._later()

    async def _look(self) -> None:
        try:
            actor = await self._authenticate(self._credentials)
        except (Unauthenticated, Forbidden) as error:
            self._ended(error)
            return
        except LakefrontError as away:
            # An outage decides nothing about credentials; nor is it told again and again.
            if not self._unchecked:
                _log.info("token not checked trace_id=%s code=%s", self._trace_id, away.code)
            self._unchecked = True
            return
        except Exception:  # noqa: BLE001 - logged with its traceback
            # Nor does a failure of ours; but the watch goes on.
            _log.exception("token not checked trace_id=%s", self._trace_id)
            return
        self._unchecked = False
        if actor != self.actor:
            self.actor = actor
            await self._renewed(actor)

    def _later(self) -> asyncio.TimerHandle:
        expires_at = self.actor.expires_at
        left = CHECK_INTERVAL if expires_at is None else expires_at - time.time()
        return asyncio.get_running_loop().call_later(min(CHECK_INTERVAL, max(0.0, left)), self.look_again)
