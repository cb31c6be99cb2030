"""Waiting for something to become true, without sleeping longer than it takes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    probe: Callable[[], T | Awaitable[T]],
    *,
    within_seconds: float = 10.0,
    every_seconds: float = 0.02,
) -> T:
    """Call ``probe`` again and again until it returns something truthy, and give that.

    The probe may be async. An AssertionError in it means *not yet*, as a falsy value does; any
    other error ends the waiting. A probe that asserts ends with ``return True``: None is what a
    lookup returns that finds nothing, so it cannot mean success.

    Raises AssertionError, with the last failure, when the time is over.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_seconds
    while True:
        failure: AssertionError | None = None
        try:
            result = probe()
            value = await result if inspect.isawaitable(result) else result
        except AssertionError as error:
            failure = error
        else:
            if value:
                return value
        if loop.time() >= deadline:
            story = str(failure) if failure is not None else f"the last answer was {value!r}"
            message = f"not so within {within_seconds:g} s: {story}"
            raise AssertionError(message) from failure
        await asyncio.sleep(every_seconds)
