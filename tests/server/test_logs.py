"""Log lines as JSON: one a record, whatever is in it."""

import logging
import sys
from collections.abc import Iterator

import orjson
import pytest

from lakefront.server.logs import JsonLines, set_up
from lakefront.settings import Settings


@pytest.fixture
def untouched() -> Iterator[None]:
    """The logging of the tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("lakefront.integrations", logging.WARNING, "x.py", 1, message, args, None)
    vars(record).update(extra)
    line = JsonLines().format(record)
    assert "\n" not in line
    told = orjson.loads(line)
    assert isinstance(told, dict)
    return told


def test_extras_are_members() -> None:
    told = _line("%s failed", "geocode", **{"integration.provider": "geoclient", "trace_id": "ab", "error_code": "x"})
    assert told.pop("timestamp")
    assert told == {
        "level": "warning",
        "logger": "lakefront.integrations",
        "message": "geocode failed",
        "integration.provider": "geoclient",
        "trace_id": "ab",
        "error_code": "x",
    }


@pytest.mark.parametrize("value", ["a\nb", "\ud800", 1 << 80, object(), float("nan"), b"\xff", {"a": {1}}])
def test_anything_is_one_line(value: object) -> None:
    assert "what" in _line("what\n%s", value, given=value)["message"]  # type: ignore[operator]


def test_an_exception_is_told() -> None:
    try:
        int("no")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    told = orjson.loads(JsonLines().format(record))
    assert "ValueError: invalid" in told["exception"]


@pytest.mark.usefixtures("untouched")
def test_it_is_set_up_as_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(Settings(log_format="json", log_level="warning"))
    logging.getLogger("a").info("not this")
    logging.getLogger("a").warning("this")
    assert orjson.loads(capsys.readouterr().err)["message"] == "this"
    set_up(Settings())
    logging.getLogger("a").info("words")
    assert capsys.readouterr().err.endswith("INFO a words\n")
