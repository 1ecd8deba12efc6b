"""How log lines look: words for people, or JSON for whoever collects them (C13)."""

import logging
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from lakefront.settings import Settings

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every record has; what else one has was given to it as ``extra``."""

_QUIET: Final = ("alembic", "casbin")


def set_up(settings: Settings) -> None:
    """Log to standard error from ``log_level`` on, in the ``log_format``; what was set up before is gone."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """A record is one line: ``timestamp, level, logger, message``, its extras by their names, and ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(told, default=str).decode()
        except TypeError:  # a lone surrogate, or a number beyond 64 bits
            return orjson.dumps({name: ascii(value) for name, value in told.items()}).decode()
