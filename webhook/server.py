"""The admission server over HTTP: POST /validate, /healthz, /readyz, /metrics.

A request that is no review gets a short sentence and the status that fits; the API server takes
any such answer for a failed call and goes by the entry's failurePolicy.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from webhook import errors, gate, metrics

MAX_BODY_BYTES: Final = 7 * 1024 * 1024
"""A review holds two objects of at most 3 MiB each, and about 1 MiB of the rest: what
controller-runtime allows (pkg/webhook/admission/http.go)."""

_KEEPALIVE_SECONDS: Final = 120.0
"""More than the 90 seconds after which Go's client drops an idle connection: were we first, a
review could arrive while we close."""

_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_WRONG_TYPE: Final = 415
_NOT_READY: Final = 503

_TOO_LARGE_TEXT: Final = f"the body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB"

Readiness = Callable[[], tuple[str, ...]]
"""Gives what is still missing before reviews can be judged; nothing when ready."""

_log = structlog.get_logger(__name__)


class _Traffic:
    """Counts the requests under way, so that the end of a server can wait for them.

    aiohttp waits for handlers too, but from then on drops what a connection receives: a body that
    is still on its way would never arrive (``RequestHandler.data_received``).
    """

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_ending = False

    @web.middleware
    async def follow(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a request through; towards the end, each answer is its connection's last."""
        self._count += 1
        self._idle.clear()
        try:
            response = await handler(request)
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()
        if self._is_ending:
            response.force_close()
        return response

    async def end(self, within_seconds: float) -> None:
        """Wait until nothing is under way, but not for ever."""
        self._is_ending = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._idle.wait()


_TRAFFIC: Final = web.AppKey("traffic", _Traffic)


def make_app(gate_: gate.Gate, *, metrics_: metrics.Metrics, missing: Readiness) -> web.Application:
    """Make the application that the API server, the kubelet and Prometheus ask."""
    app = make_plain_app(metrics_=metrics_, missing=missing)

    async def validate(request: web.Request) -> web.Response:
        refusal = _refusal_by_head(request)
        if refusal is None:
            try:
                return _written(gate_.answer(await request.read()))
            except web.HTTPRequestEntityTooLarge:
                refusal = _TOO_LARGE, _TOO_LARGE_TEXT
            except errors.ReviewError as error:
                refusal = _BAD_REQUEST, str(error)
        status, sentence = refusal
        metrics_.refused(status)
        _log.warning("a request was no review", status=status, error=sentence, peer=request.remote)
        return web.Response(status=status, text=f"{sentence}\n")

    app.router.add_post("/validate", validate)
    return app


def make_plain_app(*, metrics_: metrics.Metrics, missing: Readiness) -> web.Application:
    """Make the application without /validate, for a port that needs no certificate."""
    traffic = _Traffic()
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[traffic.follow])
    app[_TRAFFIC] = traffic

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        lacking = missing()
        if lacking:
            return web.Response(status=_NOT_READY, text=f"missing: {', '.join(lacking)}\n")
        return web.Response(text="ok\n")

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics_.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE}
        )

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", exposition)
    return app


def _written(answer: gate.Answer) -> web.Response:
    response = web.Response(body=answer.body, content_type="application/json")
    if answer.ends:
        response.force_close()
    return response


def _refusal_by_head(request: web.Request) -> tuple[int, str] | None:
    """Refuse what the headers already show, before the body is read."""
    if request.content_type != "application/json":
        return _WRONG_TYPE, "the content type is not application/json"
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        return _TOO_LARGE, _TOO_LARGE_TEXT
    return None


@contextlib.asynccontextmanager
async def serving(
    app: web.Application,
    *,
    host: str | None,
    port: int,
    tls: ssl.SSLContext | None = None,
    drain_seconds: float = 5.0,
) -> AsyncIterator[int]:
    """Serve the application inside the block; gives the port, which is chosen if it was 0.

    Leaving the block stops listening, lets requests under way finish for ``drain_seconds``, and
    closes the rest.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        shutdown_timeout=drain_seconds,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        bound = runner.addresses[0][1]
        _log.info("serving", port=bound, tls=tls is not None)
        try:
            yield int(bound)
        finally:
            await site.stop()
            await app[_TRAFFIC].end(drain_seconds)
    finally:
        await runner.cleanup()
