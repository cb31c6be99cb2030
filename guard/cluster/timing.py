"""Time and chance, passed in so that tests can own both, and the one rule for waiting longer."""

import asyncio
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

MIN_BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 30.0
_MAX_DOUBLINGS: Final = 16  # far beyond the maximum; keeps the power small


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """A monotonic clock, a sleep, and a chance in [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def between(self, low: float, high: float) -> float:
        """Give a random number between two bounds."""
        return low + (high - low) * self.chance()

    def wait_seconds(self, failures: int, *, max_seconds: float = MAX_BACKOFF_SECONDS) -> float:
        """Give the wait after the n-th failure in a row (from 1): 0.5 s, doubled each time.

        The upper half of each wait is random: many that fail together should not come back
        together.
        """
        doublings = min(max(failures, 1) - 1, _MAX_DOUBLINGS)
        longest = min(MIN_BACKOFF_SECONDS * 2.0**doublings, max_seconds)
        return self.between(longest / 2, longest)

    async def back_off(self, failures: int, *, max_seconds: float = MAX_BACKOFF_SECONDS) -> None:
        """Wait for ``wait_seconds``."""
        await self.sleep(self.wait_seconds(failures, max_seconds=max_seconds))


REAL: Final = Timing()
