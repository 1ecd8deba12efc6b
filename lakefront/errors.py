"""The one catalogue of errors: each is a class with a code, an HTTP status and a message that tells what to do next.

REST answers ``{error_code, message, details, timestamp}`` (L11); GraphQL puts ``code``, ``errorCode`` and ``details``
into ``extensions``. Whatever is not a ``LakefrontError`` is masked as ``internal_error`` with a trace id.
"""

import traceback
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, ClassVar


class LakefrontError(Exception):
    """A failure that may be shown to the caller as it is: message and details hold no secrets, SQL or personal data."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    default_message: ClassVar[str] = (
        "Something failed inside the server. Report it with the trace id; retrying is safe."
    )

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        """``details`` are ``{field, message, …}`` items; ``retry_after`` is in seconds."""
        self.message = message or self.default_message
        self.details = [dict(item) for item in details]
        self.retry_after = retry_after
        super().__init__(self.message)

    @property
    def graphql_code(self) -> str:
        """The code as GraphQL clients know it: ``SCREAMING_SNAKE``."""
        return self.code.upper()

    @property
    def retry_seconds(self) -> int | None:
        """Whole seconds, at least one, after which to try again, as every door tells it; ``None``: of no use."""
        return None if self.retry_after is None else max(1, ceil(self.retry_after))

    @property
    def extras(self) -> dict[str, Any]:
        """Further members for GraphQL's ``extensions`` (a cursor to go on from, say)."""
        return {}


class InternalError(LakefrontError):
    """A failure of ours; the cause is in the log under the trace id."""


class ValidationError(LakefrontError):
    """The input is malformed or incomplete (P5)."""

    code, status = "validation_error", 400
    default_message = "The input is not valid. See details for the fields to correct."


class BadRequest(LakefrontError):
    """The request itself cannot be read: not JSON, wrong encoding, nested too deep."""

    code, status = "bad_request", 400
    default_message = "The request could not be read. Send well-formed UTF-8 JSON."


class Unauthenticated(LakefrontError):
    """No token, or one that does not hold (C9)."""

    code, status = "unauthenticated", 401
    default_message = "A valid token is needed. Send 'Authorization: Bearer <token>', or a key as 'X-API-Key: <key>'."

    def __init__(self, message: str | None = None, *, problem: str | None = "invalid_token") -> None:
        """``problem`` is RFC 6750's word for what is wrong; ``None`` where nothing was sent."""
        self.problem = problem
        super().__init__(message)


class Forbidden(LakefrontError):
    """The token holds, but lacks the scope (C9)."""

    code, status = "forbidden", 403
    default_message = "This token may not do that."

    def __init__(
        self, message: str | None = None, *, scope: str | None = None, details: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """``scope`` is the one that would do, where there is one."""
        self.scope = scope
        super().__init__(message, details=details)


class NotFound(LakefrontError):
    """Nothing is there under that name."""

    code, status = "not_found", 404
    default_message = "Nothing was found there. Check the name."


class MethodNotAllowed(LakefrontError):
    """The path is right, the method is not."""

    code, status = "method_not_allowed", 405
    default_message = "This method is not allowed here. See the Allow header."


class NotAcceptable(LakefrontError):
    """None of the accepted media types can be served."""

    code, status = "not_acceptable", 406
    default_message = "None of the media types in Accept can be served. Accept application/json."


class RequestTimeout(LakefrontError):
    """The request did not arrive in time."""

    code, status = "request_timeout", 408
    default_message = "The request did not arrive in time. Send it again, faster or in smaller parts."


class Conflict(LakefrontError):
    """The request does not fit what is there: taken, changed by somebody else, or used up."""

    code, status = "conflict", 409
    default_message = "This does not fit what is there now. Read it again, then decide."


class DryRunRequired(LakefrontError):
    """A tenant is to be onboarded without a dry run that passed (T1)."""

    code, status = "dry_run_required", 400
    default_message = (
        "This very configuration has passed no dry run within the last hour. Send it to /api/v1/tenants/dryrun "
        "(dryRunTenant), word for word; when every check has passed, onboard it."
    )


class IdempotencyConflict(LakefrontError):
    """The same idempotency key came with another body (X2)."""

    code, status = "idempotency_conflict", 409
    default_message = "This idempotency key was used with another body. Use a new key for a new request."


class PayloadTooLarge(LakefrontError):
    """The body exceeds its limit (P5)."""

    code, status = "payload_too_large", 413
    default_message = "The request exceeds the size limit. Split it into smaller requests."


class UnsupportedMediaType(LakefrontError):
    """The body's type or encoding is not one that is served here."""

    code, status = "unsupported_media_type", 415
    default_message = "Send application/json in UTF-8, plain or with Content-Encoding: gzip."


class RateLimited(LakefrontError):
    """A quota is used up (P6, C12); ``retry_after`` says when to come again."""

    code, status = "rate_limited", 429
    default_message = "Too many requests. Wait as long as Retry-After says, then send again."


class PersistedQueryNotFound(LakefrontError):
    """No document is known under the hash that was sent (L16); clients know it by its message and send the text."""

    code, status = "persisted_query_not_found", 400
    default_message = "PersistedQueryNotFound"


class PersistedQueryNotSupported(LakefrontError):
    """Documents are not found by their hash here; clients know it by its message and send texts from then on (L16)."""

    code, status = "persisted_query_not_supported", 400
    default_message = "PersistedQueryNotSupported"


class DocumentNotTrusted(LakefrontError):
    """The actor's roles may send trusted documents alone (L16)."""

    code, status = "document_not_trusted", 403
    default_message = (
        "Your roles may send only documents that the operator trusts, and this is none of them, byte by byte. "
        "Have it added: lakefront documents sync DIR."
    )


class Unavailable(LakefrontError):
    """A part that is needed is down or restarting (P5)."""

    code, status = "unavailable", 503
    default_message = "The service is not available right now. Send the request again after Retry-After seconds."

    def __init__(
        self, message: str | None = None, *, retry_after: float = 1.0, details: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message, details=details, retry_after=retry_after)


class UpstreamError(LakefrontError):
    """An outside system failed: it did not answer, or not as it should (C12). The same call may be made again."""

    code, status = "upstream_error", 502
    default_message = "An outside system failed. Try again in a while."


class UpstreamDenied(UpstreamError):
    """An outside system refuses the server's own key (C3): trying again is of no use, an operator has to act."""

    code = "upstream_denied"
    default_message = "An outside system refuses our key. An operator has to renew it: rotateIntegrationKey."


class NotConfigured(LakefrontError):
    """An outside system that is needed is not set up here, or switched off."""

    code, status = "not_configured", 501
    default_message = "This needs an outside system that is not set up here. An operator has to: upsertIntegration."


class UpstreamRejected(LakefrontError):
    """An outside system understood the call and refuses what it says (C12): the same call will be refused again."""

    code, status = "upstream_rejected", 422
    default_message = "An outside system refuses this request. Correct what it says, then send it again."


class UpstreamUncertain(LakefrontError):
    """A call that changes something may have been carried out; nobody can tell, so it is not made again blindly."""

    code, status = "upstream_uncertain", 502
    default_message = (
        "An outside system may have carried this out, but did not say so. Look there before you send it again."
    )


class OperationRefused(LakefrontError):
    """The GraphQL document goes beyond a limit (depth, aliases, tokens, …); it was not executed."""

    code, status = "operation_refused", 400
    default_message = "The document goes beyond a limit of this server. Ask for less at once."


class OperationTimeout(LakefrontError):
    """The operation ran longer than it may."""

    code, status = "operation_timeout", 504
    default_message = "The operation took too long and was stopped. Ask for less at once, or filter more."


class _AtCursor(LakefrontError):
    """An end of a subscription that tells where to go on."""

    def __init__(self, cursor: str | None, message: str | None = None) -> None:
        self.cursor = cursor
        super().__init__(message)

    @property
    def extras(self) -> dict[str, Any]:
        return {"cursor": self.cursor}


class Lagged(_AtCursor):
    """The follower fell behind the live stream (X1); nothing is lost: subscribe again with ``after: cursor``."""

    code, status = "lagged", 409
    default_message = (
        "This subscriber fell behind. Subscribe again with after: extensions.cursor to go on without a gap."
    )


class CursorExpired(_AtCursor):
    """The cursor points before what is kept (X1)."""

    code, status = "cursor_expired", 410
    default_message = 'This cursor is older than what is kept. Go on from extensions.cursor, or from after: "earliest".'


def catalogue() -> list[type[LakefrontError]]:
    """Every public error class, by code."""
    found: list[type[LakefrontError]] = []
    todo = [LakefrontError]
    while todo:
        for child in todo.pop().__subclasses__():
            todo.append(child)
            if not child.__name__.startswith("_"):
                found.append(child)
    return sorted(found, key=lambda error: error.code)


def loggable(failure: BaseException) -> str:
    """What a log may say of ``failure``: an error's message if it is ours, else what failed and where.

    Not what others say: PostgreSQL quotes rows, and those may be about a person.
    """
    if isinstance(failure, LakefrontError):
        return failure.message
    frames = traceback.extract_tb(failure.__traceback__)
    return f"{type(failure).__name__} at {', '.join(f'{f.filename}:{f.lineno}' for f in frames[-3:])}"
