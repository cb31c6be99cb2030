"""The connection to one API server: raw JSON in, raw JSON out, and a timeout on every call.

The HTTP session is our own. kubernetes_asyncio's ApiClient sets no timeout, caps all connections
at 100 (each watch holds one for hours), drops idle ones after 15 seconds, and asks the environment
for a proxy with each request.
"""

import asyncio
import functools
import http
import pathlib
import socket
import sys
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Self

import aiohttp
import orjson
import yarl
from aiohttp import hdrs

from guard.cluster import configuration, errors, lines

JSON: Final = "application/json"

_MAX_REQUESTS: Final = 64
"""Requests in flight at once, watches not counted: enough to keep a server busy, few enough to
stay one flow among others."""

_KEEPALIVE_SECONDS: Final = 75.0  # the API server closes idle connections after 90
_CONNECT_TIMEOUT_SECONDS: Final = 10.0
_CLOSE_TIMEOUT_SECONDS: Final = 1.0  # a websocket's peer that says no goodbye is left without
_MAX_WAITS: Final = 2  # further attempts when the server says when to come back
_MAX_ERROR_BODY_BYTES: Final = 1 << 20
_MAX_LINE_BYTES: Final = 32 << 20  # an object is at most about 3 MiB; extension servers may differ
_READ_BUFFER_BYTES: Final = 1 << 18
_MAX_WEBSOCKET_MESSAGE_BYTES: Final = 4 << 20  # a kubelet sends at most 32 KiB at once

_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "PATCH"})
"""Verbs that may be sent again. PATCH is one, for ours lock: a repeat is at worst a Conflict."""

_SUCCESS: Final = range(200, 300)
_BUSY: Final = (429, 503)


class _Request(NamedTuple):
    """A request, ready to be sent more than once."""

    method: str
    url: yarl.URL
    title: str
    headers: dict[str, str]
    body: bytes | None
    timeout_seconds: float
    sensitive: bool


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """A connection to one API server. Close it, or use it as an async context manager."""

    def __init__(
        self,
        connection: configuration.Connection,
        *,
        user_agent: str = "holdfast",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._sleep = sleep
        self._slots = asyncio.Semaphore(_MAX_REQUESTS)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEEPALIVE_SECONDS,
                ssl=connection.tls or True,
                socket_factory=_probed_socket,
            ),
            headers={hdrs.USER_AGENT: user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER_BYTES,
        )

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: pathlib.Path | None = None,
        context: str | None = None,
        user_agent: str = "holdfast",
    ) -> Self:
        """Make a client from the configuration that applies here; nothing is sent yet.

        See ``configuration.load`` for where it is looked for. Raises BadConfiguration.
        """
        return cls(await configuration.load(kubeconfig, context), user_agent=user_agent)

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._connection.server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. A second call does nothing."""
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout_seconds: float = 10.0,
        sensitive: bool = False,
    ) -> Any:
        """Send one request and give the parsed JSON of the answer; None if it is empty.

        ``body`` is anything that orjson can write, or bytes to be sent as they are. The timeout is
        for one attempt. A further one is made after a 401 with a renewed token; after 429 or 503,
        at most twice, when the server names a wait shorter than the timeout; and when a connection
        breaks (all but POST). ``sensitive`` withholds the server's text from errors.

        Raises the subclass of ApiStatusError for an error status, Unreachable for no answer.
        """
        request = self._prepare(method, path, query, body=body, headers=_headers(accept))
        if request.body is not None:
            request.headers[hdrs.CONTENT_TYPE] = content_type
        request = request._replace(timeout_seconds=timeout_seconds, sensitive=sensitive)
        async with self._slots:
            answer = await self._authorized(request)
        for _ in range(_MAX_WAITS):
            wait_seconds = _wait_seconds(request, answer)
            if wait_seconds is None:
                break
            await self._sleep(wait_seconds)  # outside of the slot: others may go on
            async with self._slots:
                answer = await self._authorized(request)
        _raise_for_status(request, answer)
        return _parse(request, answer.body) if answer.body else None

    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str],
        idle_timeout_seconds: float,
        sensitive: bool = False,
        on_open: Callable[[], object] = lambda: None,
    ) -> AsyncGenerator[Any, None]:
        """Read a stream of JSON lines (a watch); give each line parsed, until the server ends it.

        ``on_open`` is called once the server has answered with success. Wrap the iterator in
        ``contextlib.aclosing``: else the connection stays until the garbage collector comes.

        Raises Silent if no byte arrives for ``idle_timeout_seconds``, Unreachable if the connection
        breaks, Unintelligible for a line that is no JSON, and the subclass of ApiStatusError for an
        error status, which is looked at before any line.
        """
        request = self._prepare("GET", path, query, body=None, headers=_headers(JSON))
        request = request._replace(timeout_seconds=idle_timeout_seconds, sensitive=sensitive)
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT_SECONDS, sock_read=idle_timeout_seconds
        )
        cutter = lines.LineCutter(max_bytes=_MAX_LINE_BYTES)
        try:
            async with await self._send(request, limits) as response:
                if response.status not in _SUCCESS:
                    body = await response.content.read(_MAX_ERROR_BODY_BYTES)
                    answer = _Answer(response.status, response.headers, body)
                    await self._renew_after(answer, request)
                    _raise_for_status(request, answer)
                on_open()
                async for chunk in response.content.iter_any():
                    for line in cutter.feed(chunk):
                        yield _parse(request, line)
                if cutter.rest():
                    yield _parse(request, cutter.rest())
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._unreachable(request, error) from error

    async def websocket(
        self,
        path: str,
        *,
        query: Mapping[str, str],
        protocol: str,
        timeout_seconds: float = _CONNECT_TIMEOUT_SECONDS,
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket that speaks ``protocol`` (a port-forward); whoever asked closes it.

        The timeout is for the opening. Raises the subclass of ApiStatusError for a refusal, with
        the status alone: the server's text is lost in the handshake. Raises Unreachable for no
        answer, Unintelligible for one that speaks another protocol.
        """
        request = self._prepare("GET", path, query, body=None, headers={})
        request = request._replace(timeout_seconds=timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                opened = await self._upgrade(request, protocol)
                if isinstance(opened, _Answer) and await self._renew_after(opened, request):
                    opened = await self._upgrade(request, protocol)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._unreachable(request, error) from error
        if isinstance(opened, _Answer):
            if opened.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
                _raise_for_status(request, opened)
            message = f"The answer to {request.title} is no websocket."
            raise errors.Unintelligible(message)
        if opened.protocol != protocol:
            await opened.close()
            message = f"The answer to {request.title} does not speak {protocol}."
            raise errors.Unintelligible(message)
        return opened

    async def _upgrade(
        self, request: _Request, protocol: str
    ) -> aiohttp.ClientWebSocketResponse | _Answer:
        """Give the websocket, or the answer that refuses it."""
        authorization = await self._connection.authorizer.header()
        if authorization is not None:
            request.headers[hdrs.AUTHORIZATION] = authorization
        try:
            return await self._session.ws_connect(
                request.url,
                protocols=(protocol,),
                headers=request.headers,
                max_msg_size=_MAX_WEBSOCKET_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_SECONDS),
                proxy=self._connection.proxy,
                server_hostname=self._connection.tls_server_name,
            )
        except aiohttp.WSServerHandshakeError as error:
            # Left here: it holds the request with its token.
            return _Answer(error.status, error.headers or {}, b"")

    def _prepare(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        body: Any,
        headers: dict[str, str],
    ) -> _Request:
        url = f"{self._connection.server}{path}"
        if query:
            url = f"{url}?{_encode(tuple(query.items()))}"
        return _Request(
            method=method,
            url=yarl.URL(url, encoded=True),
            title=f"{method} {path}",
            headers=headers,
            body=body if body is None or isinstance(body, bytes) else orjson.dumps(body),
            timeout_seconds=_CONNECT_TIMEOUT_SECONDS,
            sensitive=False,
        )

    async def _authorized(self, request: _Request) -> _Answer:
        """Exchange; once more with a renewed token if the server refuses the one that we have."""
        answer = await self._exchange(request)
        if await self._renew_after(answer, request):
            answer = await self._exchange(request)
        return answer

    async def _renew_after(self, answer: _Answer, request: _Request) -> bool:
        refused = request.headers.get(hdrs.AUTHORIZATION)
        if answer.status != http.HTTPStatus.UNAUTHORIZED or refused is None:
            return False
        return await self._connection.authorizer.renew(refused) is not None

    async def _exchange(self, request: _Request) -> _Answer:
        """Send and read the whole answer; once more if the connection breaks on the way.

        A kept connection may have been cut by a load balancer in silence. aiohttp repeats the
        idempotent verbs by itself, but never a PATCH, which is what we send most.
        """
        limits = aiohttp.ClientTimeout(
            total=request.timeout_seconds, sock_connect=_CONNECT_TIMEOUT_SECONDS
        )
        try:
            try:
                return await self._read(request, limits)
            except (
                aiohttp.ServerDisconnectedError,
                aiohttp.ClientOSError,
                ConnectionError,
            ) as error:
                refused = isinstance(error, aiohttp.ClientConnectorError)
                if refused or request.method != "PATCH":
                    raise
                return await self._read(request, limits)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._unreachable(request, error) from error

    async def _read(self, request: _Request, limits: aiohttp.ClientTimeout) -> _Answer:
        async with await self._send(request, limits) as response:
            return _Answer(response.status, response.headers, await response.read())

    async def _send(
        self, request: _Request, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        authorization = await self._connection.authorizer.header()
        if authorization is not None:
            request.headers[hdrs.AUTHORIZATION] = authorization
        return await self._session.request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            timeout=limits,
            allow_redirects=False,  # a redirect would carry the token elsewhere
            proxy=self._connection.proxy,
            server_hostname=self._connection.tls_server_name,
        )

    def _unreachable(self, request: _Request, error: Exception) -> errors.Unreachable:
        if isinstance(error, TimeoutError):
            waited = f"{request.timeout_seconds:g} s"
            message = f"The API server {self.server} was silent for {waited} on {request.title}."
            return errors.Silent(message)
        why = _describe(error)
        message = f"The API server {self.server} cannot be reached for {request.title}: {why}."
        return errors.Unreachable(message)


@functools.lru_cache(maxsize=256)
def _encode(query: tuple[tuple[str, str], ...]) -> str:
    # Cached, for nearly all queries repeat: it would be a tenth of the time of a small apply.
    return urllib.parse.urlencode(query)


def _headers(accept: str) -> dict[str, str]:
    return {hdrs.ACCEPT: accept}


def _raise_for_status(request: _Request, answer: _Answer) -> None:
    if answer.status not in _SUCCESS:
        raise errors.from_status(
            answer.status,
            answer.headers,
            answer.body[:_MAX_ERROR_BODY_BYTES],
            sensitive=request.sensitive,
            request=request.title,
        )


def _wait_seconds(request: _Request, answer: _Answer) -> float | None:
    """Give how long to wait before the next attempt; None if there should be none."""
    if answer.status not in _BUSY or request.method not in _REPEATABLE:
        return None
    retry_after_seconds = errors.seconds(answer.headers.get(hdrs.RETRY_AFTER))
    if retry_after_seconds is None or retry_after_seconds > request.timeout_seconds:
        return None
    return retry_after_seconds


def _parse(request: _Request, text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # Not quoted, not chained: the error holds the whole text.
        message = f"The answer to {request.title} is no JSON (at byte {error.pos} of {len(text)})."
        raise errors.Unintelligible(message) from None


def _describe(error: Exception) -> str:
    """Say what happened without quoting headers or URLs, which may hold credentials."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _probed_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket whose silent death is noticed within half a minute.

    Linux's default is two hours. client-go pings its HTTP/2 connections after 30 s for the same
    reason: a node that vanishes closes nothing.
    """
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return sock
