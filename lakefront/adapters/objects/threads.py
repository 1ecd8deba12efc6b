"""Threads for calls that may never return, as those into the folder of a network drive that hangs."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Threads:
    """At most ``most`` calls at a time, each in a thread of its own, apart from the loop's executor that all share.

    A call that hangs cannot be cancelled: it keeps its thread until it returns, and once ``most`` hang, all others
    wait. The threads are daemons, so that the process can end meanwhile, which with a ``ThreadPoolExecutor`` it could
    not: Python waits for those. Only a kernel that cannot be interrupted (a drive that fails) still holds it.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def take(self) -> None:
        """Wait for a free thread: for one ``start``, or ``give_back``."""
        await self._free.acquire()

    def give_back(self) -> None:
        """Do without the thread that was taken."""
        self._free.release()

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What ``call`` returns or raises; who cancels this no longer waits, but the call goes on."""
        await self.take()
        return await self.start(call, *args, **kwargs)

    def start(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> asyncio.Future[_T]:
        """Begin ``call`` in the thread that was taken, which is free again when it has returned."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_T] = loop.create_future()

        def end(settle: Callable[[], None]) -> None:
            self.give_back()
            if not outcome.cancelled():
                settle()

        def work() -> None:
            try:
                settle = partial(outcome.set_result, call(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever awaits it is told
                settle = partial(outcome.set_exception, error)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(end, settle)

        try:
            Thread(target=work, name="objects", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self.give_back()
            raise
        return outcome
