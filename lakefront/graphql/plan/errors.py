"""The one shape of errors in GraphQL answers (SCHEMA.md), and the one place that decides what may be shown.

``{message, locations, path, extensions {code, errorCode, details, traceId, timestamp, retryAfter, …extras}}``. Shown
are ``LakefrontError``s and what the specification's own checks say about the client's document and variables; all
else is masked as ``INTERNAL_ERROR`` and logged once under the trace id, without the document and its variables.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from graphql import GraphQLError, GraphQLSyntaxError

from lakefront.errors import BadRequest, InternalError, LakefrontError, ValidationError

MAX_MESSAGE: Final = 500
"""Characters of a message about the client's document: it may quote the document."""

MAX_SHOWN: Final = 100
"""Errors in one answer; a thousand rows that fail alike say no more than a hundred."""

_SUGGESTION = re.compile(r" Did you mean .*\?$", re.DOTALL)

_NOT_NONE: Final = "not to be None."
"""How graphql-core ends a message about a null."""

_log = logging.getLogger("lakefront.graphql")

ErrorDict = dict[str, Any]


def format_error(error: LakefrontError, trace_id: str, *, located: GraphQLError | None = None) -> ErrorDict:
    """``error`` as GraphQL shows it, at the place that ``located`` names."""
    extensions: dict[str, Any] = {
        "code": error.graphql_code,
        "errorCode": error.code,
        "details": error.details,
        "traceId": trace_id,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    if error.retry_seconds is not None:
        extensions["retryAfter"] = error.retry_seconds
    formatted: ErrorDict = {"message": error.message}
    if located is not None and located.locations:
        places = located.locations[:MAX_SHOWN]
        formatted["locations"] = [{"line": place.line, "column": place.column} for place in places]
    if located is not None and located.path:
        formatted["path"] = located.path
    return formatted | {"extensions": extensions | error.extras}


def format_request_errors(errors: Iterable[GraphQLError], trace_id: str) -> list[ErrorDict]:
    """What the specification's checks found before execution: syntax, validation, variables."""
    return [format_error(_request_error(error), trace_id, located=error) for error in errors]


def format_execution_errors(errors: Sequence[GraphQLError], trace_id: str) -> list[ErrorDict]:
    """What resolvers and the executor raised, at most ``MAX_SHOWN``; unforeseen ones are masked, the first logged."""
    shown: list[ErrorDict] = []
    unforeseen: list[GraphQLError] = []
    for error in errors:
        public = _public(error)
        if public is None:
            unforeseen.append(error)
            public = InternalError()
        if len(shown) < MAX_SHOWN:
            shown.append(format_error(public, trace_id, located=error))
    if unforeseen:
        first = unforeseen[0]
        log_unforeseen(first.original_error or first, trace_id, count=len(unforeseen), path=first.path)
    return shown


def format_exception(error: Exception, trace_id: str) -> list[ErrorDict]:
    """One exception that ended a whole operation or subscription, masked unless it is for the client."""
    if isinstance(error, LakefrontError):
        return [format_error(error, trace_id)]
    if isinstance(error, GraphQLError):
        return format_execution_errors([error], trace_id)
    log_unforeseen(error, trace_id)
    return [format_error(InternalError(), trace_id)]


def log_unforeseen(
    error: BaseException, trace_id: str, *, count: int = 1, path: Sequence[str | int] | None = None
) -> None:
    """One record with the traceback under the trace id; no document, no variables."""
    field = ".".join(step for step in path or () if isinstance(step, str))
    _log.error(
        "operation failed trace_id=%s field=%s errors=%d",
        trace_id,
        field or "-",
        count,
        exc_info=(type(error), error, error.__traceback__),
        extra={"trace_id": trace_id},
    )


def _public(error: GraphQLError) -> LakefrontError | None:
    """What may be shown of an error met while executing; ``None``: nothing."""
    original = error.original_error
    # Nested GraphQLErrors wrap one another; the innermost cause tells whose fault it is.
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    if isinstance(original, LakefrontError):
        return original
    # graphql-core names the AST nodes of arguments that do not fit; our scalars and resolvers have no nodes to name.
    if isinstance(original, GraphQLError) and original.nodes:
        return _request_error(original)
    if original is None and error.path is None:
        return _request_error(error)
    return None


def _request_error(error: GraphQLError) -> LakefrontError:
    if isinstance(error.original_error, LakefrontError):
        return error.original_error
    message = _SUGGESTION.sub("", error.message)
    if message.endswith(_NOT_NONE):
        message = message.removesuffix("None.") + "null."
    if len(message) > MAX_MESSAGE:
        message = message[:MAX_MESSAGE] + "…"
    return BadRequest(message) if isinstance(error, GraphQLSyntaxError) else ValidationError(message)
