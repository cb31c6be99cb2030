"""A fake API server and a client for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import clocks, fakeapi

from guard.cluster import client as clients
from guard.cluster import configuration


@pytest.fixture
async def api() -> AsyncIterator[fakeapi.FakeApi]:
    """Give a fake API server."""
    async with fakeapi.FakeApi() as server:
        yield server


@pytest.fixture
def clock() -> clocks.Clock:
    """Give a clock that only sleeping moves."""
    return clocks.Clock()


@pytest.fixture
async def client(
    api: fakeapi.FakeApi, clock: clocks.Clock, tmp_path: Path
) -> AsyncIterator[clients.Client]:
    """Give a client of the fake API server with the token ``t0ken``."""
    connection = await configuration.load(api.kubeconfig(tmp_path, user={"token": "t0ken"}), None)
    async with clients.Client(connection, sleep=clock.sleep) as connected:
        yield connected
