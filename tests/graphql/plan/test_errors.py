"""What is shown of an error, and what is not."""

import logging

import pytest
from graphql import GraphQLError, GraphQLSyntaxError, Source, located_error

from lakefront.errors import Lagged, NotFound, Unavailable
from lakefront.graphql.plan.errors import (
    MAX_MESSAGE,
    MAX_SHOWN,
    format_error,
    format_exception,
    format_execution_errors,
    format_request_errors,
)


def test_the_shape() -> None:
    error = format_error(Unavailable(retry_after=2.5), "trace")
    assert set(error) == {"message", "extensions"}
    assert set(error["extensions"]) == {"code", "errorCode", "details", "traceId", "timestamp", "retryAfter"}
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["extensions"]["errorCode"] == "unavailable"
    assert error["extensions"]["traceId"] == "trace"
    assert error["extensions"]["retryAfter"] == 3, "whole seconds, as the header Retry-After says"


def test_null_is_called_null() -> None:
    said = "Expected variable '$n' provided to non-null type 'Int!' not to be None."
    (error,) = format_request_errors([GraphQLError(said)], "t")
    assert error["message"] == said.replace("None", "null")


def test_extras_go_along() -> None:
    assert format_exception(Lagged("c1"), "t")[0]["extensions"]["cursor"] == "c1"


def test_ours_are_shown_at_their_place() -> None:
    raised = NotFound("No such permit.", details=[{"field": "permitId", "message": "unknown"}])
    (error,) = format_execution_errors([located_error(raised, None, ["permits", 3, "events"])], "t")
    assert error["message"] == "No such permit."
    assert error["path"] == ["permits", 3, "events"]
    assert error["extensions"]["details"] == [{"field": "permitId", "message": "unknown"}]


@pytest.mark.parametrize(
    "raised",
    [
        RuntimeError("hunter2"),
        GraphQLError("hunter2"),
        GraphQLError("hunter2", original_error=RuntimeError("hunter2")),
        GraphQLError("hunter2", extensions={"secret": "hunter2"}),
    ],
)
def test_all_else_is_masked_and_logged_once(raised: Exception, caplog: pytest.LogCaptureFixture) -> None:
    errors = [located_error(raised, None, ["many", number, "broken"]) for number in range(300)]
    shown = format_execution_errors(errors, "trace")
    assert len(shown) == MAX_SHOWN
    assert "hunter2" not in str(shown)
    assert {error["extensions"]["code"] for error in shown} == {"INTERNAL_ERROR"}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "trace_id=trace" in record.getMessage()
    assert "errors=300" in record.getMessage()


def test_messages_about_documents_stay_within_bounds() -> None:
    source = Source("{ " + "x" * 10_000)
    errors = [GraphQLSyntaxError(source, 2, "y" * 10_000), GraphQLError("Unknown field 'a'. Did you mean 'b' or 'c'?")]
    syntax, validation = format_request_errors(errors, "t")
    assert len(syntax["message"]) <= MAX_MESSAGE + 1
    assert syntax["extensions"]["code"] == "BAD_REQUEST"
    assert syntax["locations"] == [{"line": 1, "column": 3}]
    assert validation["message"] == "Unknown field 'a'."
    assert validation["extensions"]["code"] == "VALIDATION_ERROR"
