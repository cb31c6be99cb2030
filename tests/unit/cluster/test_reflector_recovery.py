"""After any failure a reflector lists again and tells what happened meanwhile."""

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable

import pytest
from support import clocks, fakeapi, polling

from guard.cluster import client as clients
from guard.cluster import errors, reflector, resources, timing

CONFIG_MAPS = resources.Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
Behaviour = fakeapi.Behaviour


class Follower:
    """A reflector that runs, and what it told: ``ADDED a``, ``SYNCED``."""

    def __init__(self, client: clients.Client, clock: clocks.Clock) -> None:
        self.told: list[str] = []
        self.after_list: Callable[[], None] | None = None
        self.reflector = reflector.Reflector(
            client,
            CONFIG_MAPS,
            on_event=self._note,
            idle_timeout_seconds=0.2,
            timing=timing.Timing(clock=clock, sleep=clock.sleep, chance=lambda: 0.5),
        )

    def _note(self, event: reflector.Event) -> None:
        name = event.object.get("metadata", {}).get("name", "")
        self.told.append(f"{event.type} {name}".strip())
        if event.type is reflector.EventType.SYNCED and self.after_list:
            self.told.clear()
            self.after_list()
            self.after_list = None

    async def has_told(self, *expected: str) -> None:
        """Wait until exactly this has been told since the last call."""
        await polling.eventually(lambda: len(self.told) >= len(expected))
        told = [*self.told]
        self.told.clear()

        assert list(expected) == told


@contextlib.asynccontextmanager
async def following(client: clients.Client, clock: clocks.Clock) -> AsyncIterator[Follower]:
    """Run a reflector."""
    follower = Follower(client, clock)
    task = asyncio.create_task(follower.reflector.run())
    try:
        yield follower
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_lists_then_watches(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock
) -> None:
    """The list comes as ADDED and ends with SYNCED; later changes come from the watch."""
    api.put("a")
    async with following(client, clock) as follower:
        await follower.has_told("ADDED a", "SYNCED")
        assert follower.reflector.synced.is_set()

        api.put("a", data="x")
        await follower.has_told("MODIFIED a")
        api.put("b")
        api.remove("a")
        await follower.has_told("ADDED b", "DELETED a")


@pytest.mark.parametrize(
    "failure",
    [Behaviour.GONE, Behaviour.GONE_IN_STREAM, Behaviour.FAULT_IN_STREAM, Behaviour.HANGS],
)
async def test_what_happens_in_a_gap_is_found_by_a_list(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock, failure: Behaviour
) -> None:
    """An edit, a deletion, a creation and a replacement that no watch told are all reported.

    kopf#955 and kubernetes-client/python#728: a watch that retries with the same expired version,
    or starts again from now, loses them.
    """
    for name in ("kept", "edited", "deleted", "replaced"):
        api.put(name)
    api.watches.append(failure)

    def happen() -> None:
        api.put("edited", data="x")
        api.remove("deleted")
        api.put("created")
        api.remove("replaced")
        api.put("replaced", uid="another")
        api.compact()

    async with following(client, clock) as follower:
        follower.after_list = happen
        await follower.has_told(
            "ADDED created",
            "MODIFIED edited",
            "DELETED replaced",
            "ADDED replaced",
            "DELETED deleted",
            "SYNCED",
        )
        api.put("kept", data="y")
        await follower.has_told("MODIFIED kept")


@pytest.mark.parametrize(
    "failure",
    [
        Behaviour.RESETS,
        Behaviour.TEXT_503,
        Behaviour.BUSY,
        Behaviour.GARBAGE,
        Behaviour.NO_EVENT,
        Behaviour.CLOSES,
        Behaviour.UNAUTHORIZED,
    ],
)
async def test_a_failed_watch_resumes_where_it_was(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock, failure: Behaviour
) -> None:
    """No list is needed while the version is good; and a 503 with a text is never an event."""
    api.put("a")
    # A broken connection is tried twice at once by the client itself.
    api.watches.extend([failure] * 3)
    async with following(client, clock) as follower:
        await follower.has_told("ADDED a", "SYNCED")
        await polling.eventually(lambda: not api.watches)
        api.put("a", data="x")
        await follower.has_told("MODIFIED a")

        assert api.count("list") == 1
        assert follower.reflector.failure is None


async def test_a_failed_list_is_tried_again(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock
) -> None:
    """Nothing is reported as synced before a list was complete."""
    api.lists.extend([Behaviour.TEXT_503, Behaviour.GARBAGE])
    async with following(client, clock) as follower:
        await follower.has_told("SYNCED")

    assert [0.2 <= seconds <= 1.0 for seconds in clock.sleeps] == [True, True]


async def test_a_server_that_closes_at_once_gets_no_storm(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """In ten minutes of closed watches there are a few dozen requests, not a thousand a second."""
    api.always_watch = Behaviour.CLOSES
    clock = clocks.Clock(until_seconds=600.0)
    async with following(client, clock):
        await asyncio.wait_for(clock.reached.wait(), 30.0)

    assert api.count("list") == 1
    assert api.count("watch") <= 35


async def test_a_server_that_always_calls_the_version_too_old_gets_no_storm_of_lists(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """Listing well is no progress: the waits grow until a watch has told something."""
    api.always_watch = Behaviour.GONE_IN_STREAM
    clock = clocks.Clock(until_seconds=600.0)
    async with following(client, clock):
        await asyncio.wait_for(clock.reached.wait(), 30.0)

    assert api.count("list") <= 35


async def test_bookmarks_move_the_version_to_resume_from(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock
) -> None:
    """A quiet kind does not fall behind the history that the server keeps (kopf#955)."""
    async with following(client, clock) as follower:
        await follower.has_told("SYNCED")
        await polling.eventually(lambda: api.count("watch") == 1)
        api.advance(50)
        api.bookmark()
        # The server ends the watch when its time is over.
        await polling.eventually(api.end_watches)
        await polling.eventually(lambda: api.count("watch") == 2)

    assert api.queries("watch")[1]["resourceVersion"] == "150"
    assert api.queries("watch")[0]["allowWatchBookmarks"] == "true"
    assert 240 <= int(api.queries("watch")[0]["timeoutSeconds"]) <= 480


async def test_a_failure_of_the_server_shows_until_it_passes(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """A kind that cannot be followed is degraded, and says why."""
    api.lists.extend([Behaviour.TEXT_503] * 100)
    clock = clocks.Clock(until_seconds=2.0)
    async with following(client, clock) as follower:
        await asyncio.wait_for(clock.reached.wait(), 10.0)

        assert isinstance(follower.reflector.failure, errors.ServerFault)
        assert follower.reflector.last_contact is None
        assert not follower.reflector.synced.is_set()


async def test_an_error_of_the_handler_ends_the_run_and_loses_no_event(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """A second run tells again what was not handled, and only that."""
    api.put("a")
    api.put("b")
    told: list[str] = []

    async def handle(event: reflector.Event) -> None:
        name = event.object.get("metadata", {}).get("name", "")
        told.append(name)
        if told == ["a", "b"]:
            message = "a fault of ours"
            raise LookupError(message)

    follower = reflector.Reflector(client, CONFIG_MAPS, on_event=handle)
    with pytest.raises(LookupError):
        await follower.run()
    task = asyncio.create_task(follower.run())
    await asyncio.wait_for(follower.synced.wait(), 10.0)
    task.cancel()

    assert told == ["a", "b", "b", ""]


async def test_a_line_longer_than_any_read_buffer_is_an_event_like_others(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock
) -> None:
    """Aiohttp's own readline gives up at twice its buffer; 6 MiB is more than the API allows."""
    async with following(client, clock) as follower:
        await follower.has_told("SYNCED")
        api.put("huge", data="x" * (6 << 20))
        await follower.has_told("ADDED huge")
        api.put("next")
        await follower.has_told("ADDED next")


async def test_a_list_that_expires_between_two_pages_starts_over(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock
) -> None:
    """What the first page told and the second attempt no longer shows is gone."""
    for number in range(501):
        api.put(f"{number:03}")
    told: list[str] = []

    def handle(event: reflector.Event) -> None:
        told.append(f"{event.type} {event.object.get('metadata', {}).get('name', '')}".strip())
        if told == ["ADDED 000"]:
            api.remove("000")

    api.lists.extend([Behaviour.NORMAL, Behaviour.GONE])
    follower = reflector.Reflector(
        client, CONFIG_MAPS, on_event=handle, timing=timing.Timing(clock=clock, sleep=clock.sleep)
    )
    task = asyncio.create_task(follower.run())
    await asyncio.wait_for(follower.synced.wait(), 10.0)
    task.cancel()

    assert told[499:] == ["ADDED 499", "ADDED 500", "DELETED 000", "SYNCED"]
    assert "limit" not in api.queries("list")[2]


async def test_only_uid_and_version_of_an_object_are_kept(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock
) -> None:
    """A cluster's objects would not fit: 2,000 objects of 10 kB leave less than 2 MB."""
    for number in range(2000):
        api.put(f"{number}", data="x" * 10_000)
    follower = reflector.Reflector(
        client,
        CONFIG_MAPS,
        on_event=lambda _: None,
        timing=timing.Timing(clock=clock, sleep=clock.sleep),
    )
    tracemalloc.start()
    try:
        task = asyncio.create_task(follower.run())
        await asyncio.wait_for(follower.synced.wait(), 30.0)
        gc.collect()
        here = tracemalloc.Filter(inclusive=True, filename_pattern="*/guard/cluster/*")
        kept = tracemalloc.take_snapshot().filter_traces([here]).statistics("filename")
    finally:
        tracemalloc.stop()
    task.cancel()

    assert sum(statistic.size for statistic in kept) < 2_000_000
