"""What may become of a request, told apart by what is to be done next: try again, wait, give up, or look first (C3)."""

from enum import Enum
from typing import Final

import httpcore

from lakefront.adapters.calls.backoff import retry_after
from lakefront.adapters.calls.exchange import Request, Response
from lakefront.adapters.endpoint import Key
from lakefront.errors import (
    LakefrontError,
    RateLimited,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamUncertain,
)

NOT_SENT: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
"""What says that not a byte of the request left."""

LOST: Final = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, RuntimeError, OSError)
"""What a request ends in whose connection failed. RuntimeError is uvloop's word for a connection that was just lost."""


class Kind(Enum):
    """What a failure means."""

    UNREACHED = "unreached"
    """Nothing was sent: it may be tried again, whatever it was."""
    LOST = "lost"
    """It may have been carried out, or not."""
    MISREAD = "misread"
    """As lost; the answer was none that can be read."""
    THROTTLED = "throttled"
    DENIED = "denied"
    """The provider does not know our key, or it may not do this."""
    REJECTED = "rejected"


class Failure(Exception):
    """One try that failed; ``what`` goes on from the provider's name and has no word of the answer."""

    def __init__(
        self,
        kind: Kind,
        what: str,
        *,
        status: int = 0,
        wait: float | None = None,
        undone: bool = False,
        body: bytes = b"",
    ) -> None:
        """``wait``: seconds that the provider asks for. ``undone``: it says that nothing was done."""
        self.kind = kind
        self.what = what
        self.status = status
        self.wait = wait
        self.body = body
        self.undone = undone or kind in {Kind.UNREACHED, Kind.THROTTLED, Kind.DENIED, Kind.REJECTED}
        super().__init__(what)

    @property
    def held(self) -> bool | None:
        """What it says of the provider's health, to the breaker: who refuses us is well, who throttles us may be."""
        if self.kind is Kind.THROTTLED:
            return None
        return self.kind in {Kind.DENIED, Kind.REJECTED}

    def again(self, *, idempotent: bool) -> bool:
        """Whether the same request may be sent again, and it may help."""
        if self.kind in {Kind.DENIED, Kind.REJECTED} or 300 <= self.status < 400:
            return False
        return idempotent or self.undone

    def error(self, title: str, key: Key, *, idempotent: bool) -> LakefrontError:
        """What callers are told."""
        details = [{"provider": key.provider} | ({"city": key.city} if key.city else {})]
        if self.status:
            details[0]["status"] = str(self.status)
        told = f"{title} {self.what}."
        match self.kind:
            case Kind.THROTTLED:
                return RateLimited(
                    f"{told} Try again after Retry-After.", details=details, retry_after=self.wait or 1.0
                )
            case Kind.DENIED:
                advice = "An operator has to look after its credentials: rotateIntegrationKey."
                return UpstreamDenied(f"{told} {advice}", details=details)
            case Kind.REJECTED:
                return UpstreamRejected(
                    f"{told} Correct what is asked of it; the same will fail again.", details=details
                )
        if not idempotent and not self.undone:
            advice = "It may have been carried out: look there before you send it again."
            return UpstreamUncertain(f"{told} {advice}", details=details)
        return UpstreamError(f"{told} Try again in a while.", details=details, retry_after=self.wait)


def of_status(request: Request, answer: Response) -> Failure:
    """The failure that an answer's status tells."""
    status, body, wait = answer.status, answer.body, retry_after(answer.headers)
    undone = status in request.undone
    if status == 429:
        return Failure(Kind.THROTTLED, "asks us to wait", status=status, wait=wait, body=body)
    if status in {401, 403}:
        return Failure(Kind.DENIED, f"refuses our key (status {status})", status=status, body=body)
    if status in {408, 425}:
        return Failure(Kind.LOST, f"gave up on our request (status {status})", status=status, undone=True, body=body)
    if 400 <= status < 500:
        return Failure(Kind.REJECTED, f"refuses this request (status {status})", status=status, body=body)
    if 300 <= status < 400:
        return Failure(Kind.LOST, "points elsewhere; correct its base URL", status=status, body=body)
    return Failure(Kind.LOST, f"failed (status {status})", status=status, wait=wait, undone=undone, body=body)


def of_transport(error: BaseException, *, sent: bool) -> Failure:
    """The failure that a connection ended in; ``sent``: something of the request may have left."""
    if isinstance(error, httpcore.LocalProtocolError):
        return Failure(Kind.UNREACHED, "cannot be asked like this; look for odd signs in its credentials")
    if isinstance(error, NOT_SENT) or not sent:
        return Failure(Kind.UNREACHED, "cannot be reached")
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return Failure(Kind.LOST, "did not answer in time")
    return Failure(Kind.LOST, "broke off the connection")
