"""What an answer may ask of the connection below it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lakefront.server.presence import Presence

CONNECTION: Final = "lakefront.connection"
"""The ASGI extension under which an HTTP request's scope has its ``Connection``."""


@dataclass(slots=True)
class Connection:
    """What an answer that takes its time wants of the connection below it.

    ``stopping`` is set when the server stops: the answer should end. ``closing`` tells before ``http.disconnect`` does
    that nothing can be sent any more. ``unsent`` are the bytes that the client has not taken. ``cut`` closes at once:
    those are lost. ``crowded`` is set when another request waits behind this one: then nothing is read, so that nobody
    hears the client leave. Otherwise ``presence`` does.
    """

    crowded: asyncio.Event
    stopping: asyncio.Event
    closing: Callable[[], bool]
    unsent: Callable[[], int]
    cut: Callable[[], None]
    presence: Presence
