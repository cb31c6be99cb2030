"""Reading the store over HTTP, for the CLI of people who do not sit at the guard process's volume.

It listens on 127.0.0.1 inside the guard pod, with no TLS and no login of its own: whoever reaches
it was let in by the API server, which forwards a port for those with ``get`` and ``create`` on
``pods/portforward`` in Holdfast's namespace, and nobody else. It only reads.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from guard.audit import errors, questions, serving, store, wire

HOST: Final = "127.0.0.1"

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1"})
_LINES: Final = "application/x-ndjson"

_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_AWAY: Final = 503

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger(__name__)


def make_app(source: store.Store) -> web.Application:
    """Make the application: ``GET /v1/records`` and ``GET /v1/counts``.

    ``/v1/records`` takes the query of ``questions`` and gives one record a line, newest first, as
    they are stored; an answer that breaks off is not ended as HTTP ends one, so that its reader
    knows. ``/v1/counts?since=`` gives, by Guard, how many records of each verdict there are.
    """
    app = web.Application(middlewares=[_local_only, _told])

    async def records(request: web.Request) -> web.StreamResponse:
        wanted = questions.read(request.query.items())
        response = web.StreamResponse(headers={"Content-Type": _LINES})
        async with contextlib.aclosing(source.pages(wanted)) as pages:
            # Before the head: a store that is away can still be told by a status.
            first: list[str] = await anext(pages, [])
            await response.prepare(request)
            await response.write(_lines(first))
            try:
                async for page in pages:
                    await response.write(_lines(page))
            except errors.StoreUnavailable as error:
                _log.warning("an answer from the audit store breaks off", error=str(error))
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def counts(request: web.Request) -> web.Response:
        since = questions.moment("since", request.query.get("since", ""))
        return web.json_response(await source.counts_since(since))

    app.router.add_get(wire.RECORDS_PATH, records)
    app.router.add_get(wire.COUNTS_PATH, counts)
    return app


async def serve(source: store.Store, *, port: int = wire.READING_PORT) -> None:
    """Serve until cancelled, on 127.0.0.1. Raises OSError if the port is taken."""
    async with serving.serving(make_app(source), host=HOST, port=port):
        await asyncio.get_running_loop().create_future()  # until cancelled


@web.middleware
async def _local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a page in a browser that has its own name point at this address (DNS rebinding)."""
    if request.url.host not in _LOCAL_NAMES:
        return web.Response(status=_FORBIDDEN, text="ask for localhost\n")
    return await handler(request)


@web.middleware
async def _told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give errors as a status and a sentence."""
    try:
        return await handler(request)
    except errors.BadQuery as error:
        return web.Response(status=_BAD_REQUEST, text=f"{error}\n")
    except errors.StoreUnavailable as error:
        _log.warning("the audit store cannot be read", error=str(error))
        return web.Response(status=_AWAY, text=f"{error}\n")


def _lines(page: list[str]) -> bytes:
    return b"".join(b"%b\n" % text.encode() for text in page)
