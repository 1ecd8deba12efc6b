"""Where shared answers leave for one socket: past ASGI, several at once, as ready frames."""

from collections.abc import Callable
from typing import Final

from lakefront.graphql.sharing.seat import Outlet, Seat, Shared
from lakefront.server.frames import Frames, text_frame

MAX_WRITE: Final = 64 * 1024
"""Bytes of answers that are written at once, whether or not the client takes them: what it leaves is in memory."""

MAX_FORMS: Final = 4
"""Frames of one answer that are kept."""


def outlet(frames: Frames, prefix: bytes, busy: Callable[[], bool]) -> Outlet:
    """Writes what is shared with others at once, where the client takes it and the socket is not ``busy``.

    ``prefix`` is what a message of the operation begins with, up to its payload.
    """

    def take(seat: Seat) -> bool:
        if busy() or not frames.is_writable():
            return False
        ready: list[bytes] = []
        size = 0
        while seat.waiting and size < MAX_WRITE:
            ready.append(_next_frame(seat.take(), prefix))
            size += len(ready[-1])
        frames.write_frames(ready)
        return True

    return take


def _next_frame(answer: Shared, prefix: bytes) -> bytes:
    """``answer`` as a frame; kept for other sockets, as most clients count their operations alike."""
    frame = answer.forms.get(prefix)
    if frame is None:
        frame = text_frame(prefix, answer.encoded, b"}")
        if len(answer.forms) < MAX_FORMS:
            answer.forms[prefix] = frame
    return frame
