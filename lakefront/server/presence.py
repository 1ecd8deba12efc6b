"""Whether the client of a request is still there, and the end of work that it alone wanted."""

import asyncio
from types import TracebackType
from typing import Any

from lakefront.server.bodies import ClientGone


class Presence:
    """As a block: its task is cancelled in it when the client leaves, and the block raises ``ClientGone``.

    Listening costs nothing: it is the connection that tells. Anybody else's cancellation comes out as it is.
    """

    __slots__ = ("_task", "_told", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._task: asyncio.Task[Any] | None = None
        self._told = False

    def leave(self) -> None:
        """The client has left."""
        self.gone = True
        if self._task is not None and not self._told:
            self._told = self._task.cancel()

    def __enter__(self) -> None:
        if self.gone:
            raise ClientGone
        self._task = asyncio.current_task()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._told and task is not None and not task.uncancel() and kind is asyncio.CancelledError:
            raise ClientGone from None
