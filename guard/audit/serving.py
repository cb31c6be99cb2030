"""Serving an aiohttp application for as long as a block lasts."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

_KEEPALIVE_SECONDS: Final = 120.0
"""More than those who ask keep a connection, so that we never hang up on a request."""

_DRAIN_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, *, host: str | None, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve inside the block; gives the port, which is chosen if it was 0. Raises OSError.

    Leaving the block stops listening and lets requests under way finish for 5 s.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        shutdown_timeout=_DRAIN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        bound = int(runner.addresses[0][1])
        _log.info("serving audit records", host=host, port=bound, tls=tls is not None)
        yield bound
    finally:
        await runner.cleanup()
