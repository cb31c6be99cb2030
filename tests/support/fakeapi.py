"""A small API server for one kind, with the failures that a real one shows once a year.

It keeps ConfigMaps, lists them in pages, and watches them from a history that can be compacted.
``lists``, ``watches`` and ``others`` hold the behaviours of the next requests; when they are used
up, or hold nothing, all is as it should be.
"""

import asyncio
import collections
import enum
import pathlib
from typing import Any, Self

import orjson
from aiohttp import web

COLLECTION = "/api/v1/configmaps"


class Behaviour(enum.Enum):
    """What one request meets."""

    NORMAL = enum.auto()
    CLOSES = enum.auto()
    """200, and the end at once."""
    RESETS = enum.auto()
    """The connection breaks before any answer."""
    HANGS = enum.auto()
    """200, and then silence: a half-open connection."""
    GONE = enum.auto()
    """410 as the HTTP status."""
    GONE_IN_STREAM = enum.auto()
    """200, then an ERROR event with code 410."""
    FAULT_IN_STREAM = enum.auto()
    """200, then an ERROR event with code 500."""
    TEXT_503 = enum.auto()
    """503 with a text body, as a load balancer sends it."""
    BUSY = enum.auto()
    """429 with Retry-After: 1."""
    GARBAGE = enum.auto()
    """200, then a line that is no JSON."""
    NO_EVENT = enum.auto()
    """200, then JSON that is no event."""
    UNAUTHORIZED = enum.auto()
    """401."""
    REDIRECT = enum.auto()
    """302 to somewhere else."""


class FakeApi:
    """The server; use it as an async context manager. ``requests`` tells what was asked."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.lists: collections.deque[Behaviour] = collections.deque()
        self.watches: collections.deque[Behaviour] = collections.deque()
        self.others: collections.deque[Behaviour] = collections.deque()
        self.always_watch: Behaviour | None = None
        self.answers: dict[str, Any] = {}
        """What GETs of other paths answer, by path; else they tell what they were asked."""
        self.requests: list[web.Request] = []
        self.url = ""
        self._version = 100
        self._oldest = 100
        self._history: list[tuple[int, bytes]] = []
        self._watchers: set[asyncio.Queue[bytes]] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get(COLLECTION, self._collection)
        app.router.add_route("*", "/{path:.*}", self._other)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(
        self, folder: pathlib.Path, *, user: dict[str, Any] | None = None
    ) -> pathlib.Path:
        """Write a kubeconfig that leads here; ``user`` is its user section."""
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user or {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "fake",
        }
        path.write_bytes(orjson.dumps(config))
        return path

    @property
    def version(self) -> str:
        """The resourceVersion of the last change."""
        return str(self._version)

    def put(self, name: str, *, namespace: str = "default", uid: str = "", data: str = "") -> None:
        """Create or change an object; another ``uid`` makes it another object."""
        key = (namespace, name)
        before = self.objects.get(key)
        uid = uid or (before["metadata"]["uid"] if before else f"uid-{name}")
        self._version += 1
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "resourceVersion": self.version,
            },
            "data": {"a": data},
        }
        self.objects[key] = obj
        self._tell("MODIFIED" if before else "ADDED", obj)

    def remove(self, name: str, *, namespace: str = "default") -> None:
        """Delete an object."""
        obj = self.objects.pop((namespace, name))
        self._version += 1
        gone = {**obj, "metadata": {**obj["metadata"], "resourceVersion": self.version}}
        self._tell("DELETED", gone)

    def compact(self) -> None:
        """Forget the history: whoever watches from before gets a 410."""
        self._history.clear()
        self._oldest = self._version

    def advance(self, versions: int) -> None:
        """Let the version grow as changes of other kinds do."""
        self._version += versions

    def end_watches(self) -> bool:
        """End all watches, as the server does when their time is over; tell if there were any."""
        for watcher in self._watchers:
            watcher.put_nowait(b"")
        return bool(self._watchers)

    def bookmark(self) -> None:
        """Tell all watches the present version."""
        metadata = {"resourceVersion": self.version}
        line = _line("BOOKMARK", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        for watcher in self._watchers:
            watcher.put_nowait(line)

    def count(self, kind: str) -> int:
        """Give how many requests of a kind came: ``list``, ``watch`` or ``other``."""
        return sum(_kind_of(request) == kind for request in self.requests)

    def queries(self, kind: str) -> list[dict[str, str]]:
        """Give the queries of all requests of a kind."""
        return [dict(one.query) for one in self.requests if _kind_of(one) == kind]

    def _tell(self, kind: str, obj: dict[str, Any]) -> None:
        line = _line(kind, obj)
        self._history.append((self._version, line))
        for watcher in self._watchers:
            watcher.put_nowait(line)

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if "watch" in request.query:
            behaviour = self.always_watch or _next(self.watches)
            return await self._misbehave(request, behaviour) or await self._watch(request)
        return await self._misbehave(request, _next(self.lists)) or self._list(request)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        body = await request.read()
        told = {"size": len(body), "authorization": request.headers.get("Authorization")}
        return await self._misbehave(request, _next(self.others)) or web.json_response(
            self.answers.get(request.path, told)
        )

    def _list(self, request: web.Request) -> web.Response:
        ordered = [self.objects[key] for key in sorted(self.objects)]
        begin = int(request.query.get("continue", "0"))
        end = begin + int(request.query.get("limit", "0")) if "limit" in request.query else None
        metadata = {"resourceVersion": self.version}
        if end is not None and end < len(ordered):
            metadata["continue"] = str(end)
        # Items of a list have neither apiVersion nor kind, as on a real server.
        items = [
            {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
            for obj in ordered[begin:end]
        ]
        return web.json_response({"kind": "ConfigMapList", "metadata": metadata, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        if seen < self._oldest:
            return _status(410, "Expired", "too old resource version")
        response = await _open(request)
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        for version, line in self._history:
            if version > seen:
                lines.put_nowait(line)
        self._watchers.add(lines)
        try:
            while line := await lines.get():
                await response.write(line)
        finally:
            self._watchers.discard(lines)
        return response

    async def _misbehave(
        self, request: web.Request, behaviour: Behaviour
    ) -> web.StreamResponse | None:
        if behaviour is Behaviour.NORMAL:
            return None
        if behaviour is Behaviour.RESETS:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if behaviour in _REFUSALS:
            return _refusal(behaviour)
        response = await _open(request)
        await response.write(_BEGINNINGS[behaviour])
        if behaviour is Behaviour.HANGS:
            await asyncio.Event().wait()
        return response


async def _open(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


def _line(kind: str, obj: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def _status(code: int, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {}}
    return web.json_response(status, status=code)


_REFUSALS = {
    Behaviour.GONE: (410, "Expired", "The provided continue parameter is too old"),
    Behaviour.REDIRECT: (302, "", ""),
    Behaviour.UNAUTHORIZED: (401, "Unauthorized", "Unauthorized"),
    Behaviour.BUSY: (429, "TooManyRequests", "too many requests"),
    Behaviour.TEXT_503: (503, "", "no healthy upstream"),
}

_BEGINNINGS = {
    Behaviour.CLOSES: b"",
    Behaviour.HANGS: b"\n",
    Behaviour.GARBAGE: b"<html>Bad gateway</html>\n",
    Behaviour.NO_EVENT: b'{"type":"ADDED","object":null}\n',
    Behaviour.GONE_IN_STREAM: _line("ERROR", {"kind": "Status", "code": 410, "message": "old"}),
    Behaviour.FAULT_IN_STREAM: _line("ERROR", {"kind": "Status", "code": 500, "message": "etcd"}),
}


def _refusal(behaviour: Behaviour) -> web.Response:
    code, reason, message = _REFUSALS[behaviour]
    if behaviour is Behaviour.TEXT_503:
        return web.Response(status=code, text=message)
    response = _status(code, reason, message)
    if behaviour is Behaviour.REDIRECT:
        response.headers["Location"] = "/elsewhere"
    if behaviour is Behaviour.BUSY:
        response.headers["Retry-After"] = "1"
    return response


def _next(behaviours: collections.deque[Behaviour]) -> Behaviour:
    return behaviours.popleft() if behaviours else Behaviour.NORMAL


def _kind_of(request: web.Request) -> str:
    if request.path != COLLECTION:
        return "other"
    return "watch" if "watch" in request.query else "list"
