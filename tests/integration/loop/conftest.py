"""A loop over a real API server, with a source in memory."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support import polling
from support.memory_source import MemorySource

from guard.api import guards, names
from guard.audit import record as records
from guard.cluster import client as clients
from guard.loop import fleet, tools
from guard.policy import secrecy
from guard.sources import errors as source_errors


class Bench:
    """One Guard in its own namespace, with its source, its records and its loop."""

    def __init__(self, client: clients.Client, kubectl: Callable[..., Any], namespace: str) -> None:
        self.client = client
        self.kubectl = kubectl
        self.namespace = namespace
        self.source = MemorySource()
        self.records: list[records.Record] = []
        self.is_off = False
        self.fleet: fleet.Fleet | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the guard process's loops."""
        self.fleet = fleet_ = fleet.Fleet(
            tools.Tools(
                client=self.client,
                installation=names.DEFAULT_INSTALLATION,
                masker=secrecy.Masker(b"k" * 32),
                open_source=self._open_source,
                write_record=self._write,
                now_ns=time.time_ns,
                entropy=os.urandom,
                is_off=lambda: self.is_off,
            )
        )
        self._task = asyncio.create_task(fleet_.run())

    async def stop(self) -> None:
        """Stop them; nothing in the cluster changes by it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def switch(self, *, is_off: bool) -> None:
        """Turn the off switch, as the guard process's watch of it does."""
        self.is_off = is_off
        assert self.fleet is not None
        self.fleet.wake()

    def _open_source(self, spec: guards.SourceSpec, _: str) -> MemorySource:
        if self.namespace in spec.git.url:
            return self.source
        elsewhere = MemorySource()  # a Guard that another test has left behind
        elsewhere.fault = source_errors.Unreachable("not of this test")
        return elsewhere

    def _write(self, record: records.Record) -> None:
        if record.guard == f"{self.namespace}/shop":
            self.records.append(record)

    async def guard(self, **spec: Any) -> None:
        """Make or change the Guard ``shop``; its source is the one in memory."""
        await self.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "Guard",
                "metadata": {"name": "shop", "namespace": self.namespace},
                "spec": {
                    "source": {
                        "git": {
                            "url": f"https://git.example/{self.namespace}.git",
                            "interval": "1s",
                        }
                    },
                    **spec,
                },
            }
        )

    async def apply(self, obj: dict[str, Any]) -> None:
        """Apply an object as the test's admin."""
        await asyncio.to_thread(
            self.kubectl, "apply", "--server-side", "--filename=-", stdin=json.dumps(obj)
        )

    async def run(self, *args: str, user: str = "alice") -> str:
        """Run kubectl in the namespace as alice; gives what it printed."""
        result = await asyncio.to_thread(
            self.kubectl, f"--namespace={self.namespace}", *args, user=user
        )
        return str(result.stdout)

    async def get(self, path: str) -> Any:
        """Read a path of the API below the test's namespace, such as ``configmaps/conf``."""
        kind, _, rest = path.partition(":")
        root = f"/apis/{kind}" if rest else "/api/v1"
        return await self.client.request(
            "GET", f"{root}/namespaces/{self.namespace}/{rest or kind}"
        )

    async def status(self) -> dict[str, Any]:
        """Read the Guard's status."""
        guard = await self.get(f"{names.API_VERSION}:guards/shop")
        return dict(guard.get("status") or {})

    async def condition(self, condition_type: str, status: str) -> dict[str, Any]:
        """Wait until a condition has this status; gives the condition."""

        async def probe() -> dict[str, Any]:
            conditions = (await self.status()).get("conditions", [])
            found = {one["type"]: one for one in conditions}
            assert found.get(condition_type, {}).get("status") == status, found
            return dict(found[condition_type])

        return await polling.eventually(probe, within_seconds=20)

    async def synced(self, revision: Any) -> dict[str, Any]:
        """Wait until a revision is applied; gives the status."""

        async def probe() -> dict[str, Any]:
            status = await self.status()
            assert status.get("appliedRevision") == revision.short, status
            return status

        return await polling.eventually(probe, within_seconds=20)


@pytest.fixture
async def bench(
    chart: tuple[str, ...], client: clients.Client, kubectl: Callable[..., Any], namespace: str
) -> AsyncIterator[Bench]:
    """Give a Guard's bench; its loops are stopped in the end."""
    del chart
    made = Bench(client, kubectl, namespace)
    yield made
    await made.stop()
