"""What a client has not taken yet, by which one that reads slowly is told from one that does not read at all."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fcntl import ioctl
from termios import TIOCOUTQ


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
