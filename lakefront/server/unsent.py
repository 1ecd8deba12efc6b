"""What a client has not taken yet, by which one that reads slowly is told from one that does not read at all."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fcntl import ioctl
from socket import IPPROTO_TCP, TCP_INFO, socket
from struct import Struct
from termios import TIOCOUTQ
from typing import Final

_ACKED: Final = Struct("=Q")
_ACKED_AT: Final = 120
"""Where ``tcpi_bytes_acked`` is in Linux's ``tcp_info``."""


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Bytes that were written to ``transport`` and did not reach the client's side yet.

    Those in the kernel count: it keeps megabytes, and takes none from the process before a third of them is gone,
    which to a slow client takes minutes.
    """
    waiting = transport.get_write_buffer_size()
    with suppress(OSError, ValueError):  # closed by now
        told = ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
        waiting += int.from_bytes(told, sys.byteorder)
    return waiting


def taken_bytes(transport: asyncio.Transport) -> int:
    """Bytes that the client's side has taken since the connection began, whatever is written meanwhile.

    0 where nobody counts them: on a connection that is closed, or no TCP.
    """
    with suppress(OSError, ValueError), socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as there:
        [acked] = _ACKED.unpack_from(there.getsockopt(IPPROTO_TCP, TCP_INFO, _ACKED_AT + _ACKED.size), _ACKED_AT)
        return int(acked)
    return 0


@asynccontextmanager
async def while_taken(unsent: Callable[[], int], patience: float) -> AsyncIterator[None]:
    """For a block that writes: ``TimeoutError`` once ``unsent()`` has not become less for ``patience`` seconds."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle
    async with asyncio.timeout(None) as clock:

        def look_again(before: int) -> None:
            nonlocal timer
            now = unsent()
            if now < before:
                timer = loop.call_later(patience, look_again, now)
            else:
                clock.reschedule(loop.time())

        timer = loop.call_later(patience, look_again, unsent())
        try:
            yield
        finally:
            timer.cancel()
