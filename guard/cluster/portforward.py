"""A connection to a port of a pod through the API server, as ``kubectl port-forward`` makes one.

The API server hands a websocket on to the pod's node. In the protocol ``v4.channel.k8s.io`` the
first byte of each message names its channel: 0 carries the bytes, 1 an error text. The first
message of each channel holds only the port, as two bytes, little end first (k8s.io/kubelet,
pkg/cri/streaming/portforward/websocket.go). One websocket is one connection to the port, and has
no half-close: whoever ends first ends it.

Asked for by GET, it needs the right ``get`` on ``pods/portforward``, and since Kubernetes 1.35
``create`` as well (kubernetes#134577).
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp

from guard.cluster import client as clients
from guard.cluster import errors, resources

PODS: Final = resources.Resource("", "v1", "Pod", "pods", namespaced=True)
PROTOCOL: Final = "v4.channel.k8s.io"

_DATA: Final = 0
_ERROR: Final = 1
_PORT_BYTES: Final = 2

_CHUNK_BYTES: Final = 32 * 1024
_MAX_FAULT_CHARACTERS: Final = 300
_CONNECT_TIMEOUT_SECONDS: Final = 5.0


@contextlib.asynccontextmanager
async def session(
    client: clients.Client,
    namespace: str,
    pod: str,
    *,
    port: int,
    silent_seconds: float = 30.0,
) -> AsyncIterator[aiohttp.ClientSession]:
    """Give an HTTP session that speaks to one port of a pod, over one connection.

    Its paths are those of the server there. It leads through a socket in a folder that nobody else
    can enter, not through a port of this machine, which everybody on it could use. Inside the block
    what breaks on the way is ForwardBroken, and so is a server that says nothing for
    ``silent_seconds``. Raises ClusterError if the forwarding is refused.
    """
    websocket = await client.websocket(
        PODS.path(namespace, pod, "portforward"), query={"ports": str(port)}, protocol=PROTOCOL
    )
    relay = _Relay(websocket)
    try:
        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:  # mode 0700
            path = str(Path(folder, "forward"))
            async with (
                await asyncio.start_unix_server(relay.accept, path),
                aiohttp.ClientSession(
                    f"http://localhost:{port}",
                    connector=aiohttp.UnixConnector(path, limit=1, keepalive_timeout=None),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=_CONNECT_TIMEOUT_SECONDS, sock_read=silent_seconds
                    ),
                ) as opened,
            ):
                yield opened
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise errors.ForwardBroken(pod, port, relay.fault or _describe(error)) from error
    finally:
        await websocket.close()
        await relay.ended()


class _Relay:
    """Carries bytes between the websocket and the first connection that is made to the socket."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.fault = ""
        """What the node said went wrong, if it did."""
        self._websocket = websocket
        self._task: asyncio.Task[None] | None = None

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection; a second one finds the port closed, for there is one websocket."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._carry(reader, writer))
        else:
            writer.close()

    async def ended(self) -> None:
        """Wait until nothing is carried any more; to be called with the websocket closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry both ways until either side ends."""
        ways = [asyncio.ensure_future(self._up(reader)), asyncio.ensure_future(self._down(writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            # Looked at, not raised: a connection that breaks is what its user sees break.
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            await self._websocket.close()

    async def _up(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await self._websocket.send_bytes(bytes([_DATA]) + chunk)

    async def _down(self, writer: asyncio.StreamWriter) -> None:
        begun: set[int] = set()
        async for message in self._websocket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, content = message.data[0], message.data[1:]
            if channel not in begun:
                begun.add(channel)
                content = content[_PORT_BYTES:]
            if channel == _DATA and content:
                writer.write(content)
                await writer.drain()
            elif channel == _ERROR:
                told = content.decode(errors="replace")
                self.fault = (self.fault + told)[:_MAX_FAULT_CHARACTERS].strip()


def _describe(error: Exception) -> str:
    return "it is silent" if isinstance(error, TimeoutError) else type(error).__name__
