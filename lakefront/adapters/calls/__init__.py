"""How outside systems are called (C1): one ``Calls`` for a server process, made of small parts that are told apart."""

from lakefront.adapters.calls.calls import Calls
from lakefront.adapters.calls.exchange import Request, Response, segment
from lakefront.adapters.calls.policy import Policy
from lakefront.adapters.calls.reading import Unreadable

__all__ = ["Calls", "Policy", "Request", "Response", "Unreadable", "segment"]
