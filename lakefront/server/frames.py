"""Frames of a WebSocket, written past ASGI: one copy of ready bytes, and as many of them at once as there are."""

from collections.abc import Sequence
from typing import Final, Protocol

FRAMES: Final = "lakefront.frames"
"""The ASGI extension under which a socket's scope has its ``Frames``, where the server is ours."""

_FIN_TEXT: Final = b"\x81"


class Frames(Protocol):
    """A socket as its application may write to it; what it sends by ASGI meanwhile must be waited for."""

    def is_writable(self) -> bool:
        """Whether the socket is open, and its client takes what it gets."""

    def unsent(self) -> int:
        """Bytes that the client has not taken, those that the kernel holds among them."""

    def write_frames(self, frames: Sequence[bytes]) -> None:
        """Write whole frames, at once and in this order; only where it ``is_writable``."""


def text_frame(*parts: bytes) -> bytes:
    """One unmasked frame of text (RFC 6455, 5.2) that holds ``parts``."""
    size = sum(map(len, parts))
    if size < 126:
        head = _FIN_TEXT + bytes([size])
    elif size < 1 << 16:
        head = _FIN_TEXT + b"\x7e" + size.to_bytes(2, "big")
    else:
        head = _FIN_TEXT + b"\x7f" + size.to_bytes(8, "big")
    return b"".join((head, *parts))
