"""When an alert fires and when it is over: what is other than it says has to last (hysteresis)."""

from datetime import datetime, timedelta
from typing import NamedTuple


class Steady(NamedTuple):
    """It is as the alert says, or as there is none."""


class Waiting(NamedTuple):
    """It is other, but has not lasted."""

    since: datetime


class Turned(NamedTuple):
    """It is other, and has lasted: the alert fires, or is over."""


Turn = Steady | Waiting | Turned


def turn(*, bad: bool, fires: bool, since: datetime | None, now: datetime, lasting: timedelta) -> Turn:
    """What is to be done about an alert that ``fires``, or one that could.

    ``since`` is when it was first seen other than the alert says (None: it was as it says when it was looked at last).
    ``lasting`` is for how long it has to be so.
    """
    if bad == fires:
        return Steady()
    began = now if since is None else min(since, now)
    return Turned() if now - began >= lasting else Waiting(began)
