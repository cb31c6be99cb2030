"""A failed object is tried again with growing waits, or at once when its cause may be gone."""

import asyncio

import pytest

from guard.cluster import timing
from guard.loop import drift, plan, retries


@pytest.fixture
def guarded(manifest, config_maps, owner):
    """Give a maker of guarded ConfigMaps that have failed."""

    def make(name, failures=1):
        desired = plan.desire(manifest(name), config_maps, owner=owner, target_namespace=None)
        return drift.Guarded(desired, failures=failures, fault="Forbidden")

    return make


async def test_waits_grow_up_to_five_minutes(guarded):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        await asyncio.sleep(0)

    async def bring(_):
        return

    async with asyncio.TaskGroup() as group:
        tried = retries.Retries(
            group, timing=timing.Timing(sleep=sleep, chance=lambda: 1.0), bring=bring
        )
        for failures in (1, 2, 3, 10, 40):
            tried.later(guarded(f"c{failures}", failures))
    assert waits == [0.5, 1.0, 2.0, 256.0, 300.0]


async def test_those_that_are_wanted_are_tried_at_once(guarded):
    brought = []

    async def sleep(seconds):
        if seconds:
            await asyncio.Event().wait()

    async def bring(one):
        brought.append(one.key.name)

    async with asyncio.TaskGroup() as group:
        tried = retries.Retries(group, timing=timing.Timing(sleep=sleep), bring=bring)
        for name in ("a", "b", "c"):
            tried.later(guarded(name))
        tried.hurry(lambda one: one.key.name != "b")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sorted(brought) == ["a", "c"]
        tried.forget(guarded("b").key)


async def test_nothing_is_tried_after_the_end(guarded):
    async def bring(_):
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        tried = retries.Retries(group, timing=timing.REAL, bring=bring)
        tried.stop()
        tried.later(guarded("a"))
