"""Logging of the long-running processes: one JSON object a line on standard error.

Tracebacks are plain text, without the values of local variables: those may be Secrets, and both
structlog's structured tracebacks and its console renderer would show them by default.
"""

import contextlib
import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, BinaryIO, Final, cast

import orjson
import structlog

FORMATS: Final = ("json", "console")
LEVELS: Final = ("debug", "info", "warning", "error")

_QUIET_LOGGERS: Final = ("aiosqlite", "asyncio", "aiohttp", "git")
"""Libraries that tell each statement or each slow callback at debug level."""


def configure(form: str, level: str, *, stream: BinaryIO | None = None) -> None:
    """Set up structlog, and what libraries log by the standard library, for one process."""
    stream = sys.stderr.buffer if stream is None else stream
    unfailing = _Unfailing(stream)
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any]
    if form == "json":
        renderer = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    else:
        console = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        renderer = [console, _encoded]
    structlog.configure(
        processors=[*shared, _named, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Factory(unfailing),
    )
    handler = _Handler(unfailing, [*shared, *renderer])
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _Unfailing:
    """A stream that loses what it cannot write: a full disk or a broken pipe is no reason to fail.

    Least of all while a review waits, whose answer must not depend on whether it can be logged.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Write, or lose it."""
        with contextlib.suppress(OSError):
            self._stream.write(data)

    def flush(self) -> None:
        """Pass on what was written, or lose it."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class _Logger(structlog.BytesLogger):
    """A logger that knows the name of the module that it logs for."""

    def __init__(self, stream: _Unfailing, name: str) -> None:
        super().__init__(cast("BinaryIO", stream))
        self.name = name


class _Factory:
    """Makes the loggers; ``structlog.get_logger(__name__)`` passes the name on."""

    def __init__(self, stream: _Unfailing) -> None:
        self._stream = stream

    def __call__(self, *args: Any) -> _Logger:
        return _Logger(self._stream, str(args[0]) if args else "holdfast")


def _named(logger: _Logger, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["logger"] = logger.name
    return event


class _Handler(logging.Handler):
    """Writes what libraries log in the same form."""

    def __init__(self, stream: _Unfailing, processors: list[Any]) -> None:
        super().__init__()
        self._logger = structlog.BytesLogger(cast("BinaryIO", stream))
        self._processors = processors

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of the standard library."""
        event: Any = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        method = record.levelname.lower()
        for processor in self._processors:
            event = processor(self._logger, method, event)
        self._logger.msg(event)


def _json(event: dict[str, Any], **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits: a log line must not end the process.
        return json.dumps(event, default=str).encode()


def _encoded(_: object, __: str, text: str) -> bytes:
    return text.encode(errors="backslashreplace")
