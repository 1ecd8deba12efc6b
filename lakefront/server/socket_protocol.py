"""uvicorn's WebSocket, hardened: what a client may keep us busy with, and how long it may take."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from lakefront.server.frames import FRAMES
from lakefront.server.unsent import taken_bytes, unsent_bytes

MAX_FRAMES: Final = 1024
"""Frames of one message: empty ones cost their sender nothing."""

LINGER: Final = 2.0
"""Seconds that a socket has after its close before it is cut off."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket that takes in nothing from a client that does not take what it gets, and ends when it is ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._taken = 0

    def pause_writing(self) -> None:
        """The client does not read: do not read from it either, or its pings alone would fill our memory."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_connect(self, event: Any) -> None:
        """A handshake; the application may write ready frames, too."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[FRAMES] = self

    def is_writable(self) -> bool:
        """See ``Frames``."""
        is_open = self.handshake_complete and not self.close_sent and not self.disconnected
        return is_open and self.writable.is_set() and not self.transport.is_closing()

    def unsent(self) -> int:
        """See ``Frames``."""
        return unsent_bytes(self.transport)

    def write_frames(self, frames: Sequence[bytes]) -> None:
        """See ``Frames``."""
        self.transport.write(b"".join(frames))

    async def send(self, message: Any) -> None:
        """Pass a message on; a handshake that was refused over HTTP is complete, too, and no error to be logged."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def handle_cont(self, event: Any) -> None:
        """A further frame of a message; too many of them end the connection (1008)."""
        if len(self.frames) >= MAX_FRAMES:
            self._end(1008)
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a message over; text that is not UTF-8 ends the connection (1007), without a traceback in the log."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._end(1007)
                return
        super().send_receive_event_to_app()

    def send_keepalive_ping(self) -> None:
        """Ask whether the client is still there."""
        super().send_keepalive_ping()
        self._taken = taken_bytes(self.transport)

    def keepalive_timeout(self) -> None:
        """No pong came: the client is still busy with what came before the ping, or it reads nothing any more.

        Where all that was written has reached it, so has the ping: then it does not answer.
        """
        before, self._taken = self._taken, taken_bytes(self.transport)
        if self._taken > before and self.unsent() and self.ping_timeout is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        # Whoever reads nothing does not get to hold up the end, too.
        self.loop.call_later(LINGER, self.transport.abort)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The application is done with this socket: give the close frame a moment, then let go."""
        super().on_task_complete(task)
        self.loop.call_later(LINGER, self.transport.abort)

    def _end(self, code: int) -> None:
        self.frames = []
        # Frames that came in the same read are still told after the end.
        if not self.close_sent:
            self.conn.send_close(code)
            self.handle_parser_exception()
