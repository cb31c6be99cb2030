"""One thing at a time is done to an object, and an event that came meanwhile is never lost."""

import asyncio
import contextlib

import pytest

from guard.api import keys
from guard.loop import turns

KEY = keys.ObjectKey("", "ConfigMap", "shop", "conf")


@pytest.fixture
def freed():
    """Give the list of keys that were freed."""
    return []


async def test_the_last_one_to_have_a_turn_frees_the_object(freed):
    order = []
    async with asyncio.TaskGroup() as group:
        taken = turns.Turns(group, freed=freed.append)

        async def take(name):
            async with taken.of(KEY):
                order.append(name)
                await asyncio.sleep(0)
                assert freed == []

        for name in "abc":
            group.create_task(take(name))
    assert sorted(order) == ["a", "b", "c"]
    assert freed == [KEY]


@pytest.mark.parametrize("when", ["waiting", "handed over"])
async def test_a_cancelled_waiter_does_not_keep_the_object(freed, when):
    async with asyncio.TaskGroup() as group:
        taken = turns.Turns(group, freed=freed.append)

        async def wait():
            async with taken.of(KEY):
                raise AssertionError

        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(taken.of(KEY))
            waiter = group.create_task(wait())
            await asyncio.sleep(0)
            if when == "waiting":
                waiter.cancel()
        if when == "handed over":
            waiter.cancel()
        await asyncio.wait([waiter])
        assert freed == [KEY]
        assert not taken.is_taken(KEY)
