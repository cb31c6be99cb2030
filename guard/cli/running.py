"""Running a command's work: once and done, or until a signal comes."""

import asyncio
import importlib
import importlib.util
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from guard import errors
from guard.cli import errors as cli_errors
from guard.cli import logs

Result = TypeVar("Result")
Work = Callable[[asyncio.Event], Awaitable[None]]

_FAILED: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger(__name__)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the work of a command to its end; Ctrl-C ends it. Warnings go to standard error."""
    logs.configure("console", "warning")
    return asyncio.run(work)


def serve(work: Work, *, use_uvloop: bool) -> int:
    """Run a process until it ends or a signal comes, and give its exit status.

    SIGTERM or SIGINT sets the event that ``work`` gets; a second one ends the process at once.
    """
    with asyncio.Runner(loop_factory=_loop_factory() if use_uvloop else None) as runner:
        try:
            runner.run(_until_stopped(work))
        except Exception as error:  # noqa: BLE001 - the last boundary of a process: it is logged
            return _failed(error)
    return 0


async def _until_stopped(work: Work) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)  # whoever asks twice does not want to wait for anything
        _log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    await work(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's loops if it is installed: it is an extra, and everything works without it."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def _failed(error: Exception) -> int:
    """Log why a process ends: a sentence for what we raise on purpose, a traceback for a fault."""
    if all(isinstance(leaf, errors.HoldfastError) for leaf in cli_errors.leaves(error)):
        for leaf in cli_errors.leaves(error):
            _log.error("the process ends", error=str(leaf))
    else:
        _log.error("the process ends by a fault of its own", exc_info=error)
    return _FAILED
