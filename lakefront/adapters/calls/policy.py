"""The numbers of a call's life (C1), in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient and how persistent calls are. Seconds, unless said otherwise."""

    tries: int = 5
    """Requests that one call sends at most."""
    try_timeout: float = 10.0
    """For one request, from the connection to the last byte of the answer."""
    connect_timeout: float = 4.0
    """For a connection, and again for its TLS; both together are less than a try, so that it is known when nothing was
    sent."""
    total_timeout: float = 30.0
    """For the whole call, its waiting and its tries. No try begins that would have no time left."""
    first_pause: float = 0.1
    """Between the first two tries, at least."""
    longest_pause: float = 5.0
    retry_ratio: float = 0.2
    """Tries that calls may add to their first ones, as a part of the calls."""
    at_once: int = 16
    """Requests under way to one endpoint: its bulkhead."""
    waiting: int = 256
    """Calls that wait in front of the bulkhead; further ones are turned away at once."""
    bulkhead_patience: float = 5.0
    window: int = 20
    """Outcomes that the breaker looks at."""
    failing: float = 0.5
    """The part of them that opens it."""
    open_pause: float = 5.0
    """Before an open breaker lets a probe through; it doubles with each that fails, up to ``longest_open_pause``."""
    longest_open_pause: float = 60.0
    probes: int = 3
    """Probes in a row, one at a time, that close it when they hold."""
