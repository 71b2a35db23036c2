"""One line an event, with the request id: text for people, JSON in production."""

import contextvars
import logging
import sys
import time
from typing import Any

import orjson

from cloudweb.settings import Settings

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""The request (or operation) this thread works for; each log line carries it."""

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def setup(settings: Settings) -> None:
    """Log to stderr as the settings say; call once, when a process starts."""
    to_stderr(settings.log_format, settings.log_level)


def to_stderr(log_format: str, log_level: str) -> None:
    """Log to stderr, as ``json`` or ``text``; call once, when a process starts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level)
    for chatty in ("pika", "urllib3", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = {k: v for k, v in record.__dict__.items() if k not in _PLAIN}
    if current := request_id.get():
        facts.setdefault("request_id", current)
    return facts


class _Json(logging.Formatter):
    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        """JSON lines are in UTC."""
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= _facts(record)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {k}={v}" for k, v in _facts(record).items())
        at = self.formatTime(record, "%H:%M:%S")
        line = f"{at} {record.levelname[0]} {record.getMessage()}{facts}"
        # A name with a line break must not look like another event.
        line = line.replace("\r", "\\r").replace("\n", "\\n")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line
