"""An API server with pods whose ports can be forwarded to, and the kubelet behind it.

It speaks ``v4.channel.k8s.io`` as k8s.io/kubelet's pkg/cri/streaming/portforward does.
"""

import asyncio
import contextlib
import pathlib
from typing import Any, Self

import aiohttp
import orjson
from aiohttp import web

NAMESPACE = "holdfast-system"
PODS = "/api/v1/namespaces/{namespace}/pods"


def pod(
    name: str,
    *,
    component: str = "guard",
    release: str = "holdfast",
    ready: bool = True,
    created: str = "2026-01-31T08:00:00Z",
) -> dict[str, Any]:
    """Give a pod as a list shows it."""
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": created,
            "labels": {
                "app.kubernetes.io/component": component,
                "app.kubernetes.io/instance": release,
            },
        },
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


class FakeNode:
    """The server, as an async context manager. ``ports`` says where a pod's port leads here."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.ports: dict[tuple[str, int], int] = {}
        self.may_list = True
        self.may_forward = True
        self.tokens = {"t0ken"}
        """Those that may open a port-forward."""
        self.protocol = "v4.channel.k8s.io"
        self.answers: dict[str, Any] = {}
        """What GETs of other paths answer, by path."""
        self.requests: list[web.Request] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get(PODS, self._list)
        app.router.add_get(PODS + "/{name}/portforward", self._forward)
        app.router.add_get("/{path:.*}", self._other)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(
        self, folder: pathlib.Path, *, user: dict[str, Any] | None = None
    ) -> pathlib.Path:
        """Write a kubeconfig that leads here; by default with the token ``t0ken``."""
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user or {"token": "t0ken"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "fake",
        }
        path.write_bytes(orjson.dumps(config))
        return path

    async def _other(self, request: web.Request) -> web.Response:
        return web.json_response(self.answers[request.path])

    async def _list(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        if not self.may_list:
            return _forbidden()
        wanted = dict(part.split("=") for part in request.query["labelSelector"].split(","))
        items = [one for one in self.pods if wanted.items() <= one["metadata"]["labels"].items()]
        return web.json_response({"kind": "PodList", "metadata": {}, "items": items})

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return web.Response(status=401)
        if not self.may_forward:
            return _forbidden()
        port = int(request.query["ports"])
        websocket = web.WebSocketResponse(protocols=(self.protocol,))
        await websocket.prepare(request)
        for channel in (0, 1):
            await websocket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        name = request.match_info["name"]
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.ports.get((name, port), 1)
            )
        except OSError:
            text = f"error forwarding port {port} to pod {name}, uid 1: connection refused"
            await websocket.send_bytes(b"\x01" + text.encode())
        else:
            await _carry(websocket, reader, writer)
        await websocket.close()
        return websocket


async def _carry(
    websocket: web.WebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def down() -> None:
        while chunk := await reader.read(32 * 1024):
            await websocket.send_bytes(b"\x00" + chunk)
        await websocket.close()

    task = asyncio.ensure_future(down())
    try:
        async for message in websocket:
            assert message.type is aiohttp.WSMsgType.BINARY
            assert message.data[0] == 0
            writer.write(message.data[1:])
            await writer.drain()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task
        writer.close()


def _forbidden() -> web.Response:
    status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no", "details": {}}
    return web.json_response(status, status=403)
