"""A made-up city: one real HTTP server that plays every outside system, with state, limits and faults (C14).

It has no part in serving: the command line, the demo and the tests start it, and it imports nothing but errors.
"""

from lakefront.simulator.faults import Fault, Kind
from lakefront.simulator.server import Simulator
from lakefront.simulator.tickets import Pace

__all__ = ["Fault", "Kind", "Pace", "Simulator"]
