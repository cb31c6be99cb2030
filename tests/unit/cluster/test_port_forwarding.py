"""A port of a pod is spoken to through the API server."""

import asyncio
import io
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from support import fakenode

from guard.cluster import client as clients
from guard.cluster import configuration, errors, portforward

PORT = 9444
LARGE = b"0123456789abcdef" * 200_000


@pytest.fixture
async def node() -> AsyncIterator[fakenode.FakeNode]:
    """Give an API server with pods."""
    async with fakenode.FakeNode() as server:
        yield server


@pytest.fixture
async def client(node: fakenode.FakeNode, tmp_path: Path) -> AsyncIterator[clients.Client]:
    """Give a client of it."""
    connection = await configuration.load(node.kubeconfig(tmp_path), None)
    async with clients.Client(connection) as connected:
        yield connected


@pytest.fixture
async def _service(node: fakenode.FakeNode) -> AsyncIterator[None]:
    """Serve HTTP at the pod's port."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read() or request.path.encode())

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application(client_max_size=1 << 24)
    app.router.add_get("/hang", hang)
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node.ports["guard-0", PORT] = runner.addresses[0][1]
    yield
    await runner.cleanup()


pytest_service = pytest.mark.usefixtures("_service")


@pytest_service
async def test_requests_and_large_bodies_pass_over_one_connection(
    node: fakenode.FakeNode, client: clients.Client
) -> None:
    """Several requests go through one websocket, with the caller's token, megabytes unharmed."""
    async with portforward.session(client, "holdfast-system", "guard-0", port=PORT) as session:
        async with session.get("/v1/records") as response:
            assert await response.read() == b"/v1/records"
        async with session.post("/", data=io.BytesIO(LARGE)) as response:
            assert await response.read() == LARGE

    (request,) = node.requests
    assert request.path == "/api/v1/namespaces/holdfast-system/pods/guard-0/portforward"
    assert request.query_string == f"ports={PORT}"
    assert request.headers["Authorization"] == "Bearer t0ken"


async def test_a_port_that_nobody_listens_on_is_told_in_the_words_of_the_node(
    client: clients.Client,
) -> None:
    """The error channel's text becomes the error."""
    with pytest.raises(errors.ForwardBroken, match=r"pod guard-0 broke: .*connection refused"):
        async with portforward.session(client, "holdfast-system", "guard-0", port=PORT) as session:
            await session.get("/")


@pytest_service
async def test_a_server_that_falls_silent_is_left(client: clients.Client) -> None:
    """No answer is waited for for ever."""
    with pytest.raises(errors.ForwardBroken, match="it is silent"):
        async with portforward.session(
            client, "holdfast-system", "guard-0", port=PORT, silent_seconds=0.05
        ) as session:
            await session.get("/hang")


@pytest_service
async def test_a_second_connection_finds_the_door_closed(client: clients.Client) -> None:
    """One websocket is one connection."""

    async def ask_twice() -> None:
        async with portforward.session(client, "holdfast-system", "guard-0", port=PORT) as session:
            async with session.get("/", headers={"Connection": "close"}) as response:
                assert response.status == 200
            await session.get("/")

    with pytest.raises(errors.ForwardBroken):
        await ask_twice()


async def test_a_caller_without_the_right_is_forbidden(
    node: fakenode.FakeNode, client: clients.Client
) -> None:
    """A refusal comes before anything is forwarded, as the error of its status."""
    node.may_forward = False

    with pytest.raises(errors.Forbidden, match="403"):
        async with portforward.session(client, "holdfast-system", "guard-0", port=PORT):
            pass


@pytest_service
async def test_a_refused_token_is_read_anew(node: fakenode.FakeNode, tmp_path: Path) -> None:
    """As for any other request, a token that was rotated costs one refusal."""
    token = tmp_path / "token"
    token.write_text("t0ken")
    path = node.kubeconfig(tmp_path, user={"tokenFile": str(token)})
    async with await clients.Client.connect(kubeconfig=path) as client:
        node.tokens = {"an0ther"}
        token.write_text("an0ther")
        async with (
            portforward.session(client, "holdfast-system", "guard-0", port=PORT) as session,
            session.get("/x") as response,
        ):
            assert response.status == 200
        node.tokens = set()
        with pytest.raises(errors.Unauthorized) as caught:
            async with portforward.session(client, "holdfast-system", "guard-0", port=PORT):
                pass
    assert "an0ther" not in "".join(traceback.format_exception(caught.value))


async def test_a_server_that_speaks_another_protocol_is_not_understood(
    node: fakenode.FakeNode, client: clients.Client
) -> None:
    """Without the protocol the bytes would mean something else."""
    node.protocol = "v5.channel.k8s.io"

    with pytest.raises(errors.Unintelligible, match="does not speak"):
        async with portforward.session(client, "holdfast-system", "guard-0", port=PORT):
            pass


async def test_an_api_server_that_is_away_is_unreachable(
    node: fakenode.FakeNode, tmp_path: Path
) -> None:
    """A connection that is refused is the API server's, not the pod's."""
    connection = await configuration.load(node.kubeconfig(tmp_path), None)
    connection = connection._replace(server="http://127.0.0.1:1")
    async with clients.Client(connection) as client:
        with pytest.raises(errors.Unreachable):
            async with portforward.session(client, "holdfast-system", "guard-0", port=PORT):
                pass


@pytest_service
async def test_nothing_is_left_behind(client: clients.Client) -> None:
    """With the block, the session ends and the socket goes, and nobody can use either."""
    async with portforward.session(client, "holdfast-system", "guard-0", port=PORT) as session:
        assert isinstance(session.connector, aiohttp.UnixConnector)
        folder = Path(session.connector.path).parent
        assert await asyncio.to_thread(lambda: folder.stat().st_mode & 0o077) == 0

    assert session.closed
    assert not await asyncio.to_thread(folder.exists)
