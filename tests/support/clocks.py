"""Time that only sleeping moves."""

import asyncio


class Clock:
    """A monotonic clock and its sleep; nothing ever waits, until ``until_seconds`` is reached."""

    def __init__(self, *, until_seconds: float = float("inf")) -> None:
        self.now_seconds = 0.0
        self.sleeps: list[float] = []
        self.reached = asyncio.Event()
        self._until_seconds = until_seconds

    def __call__(self) -> float:
        """Give the time, in seconds."""
        return self.now_seconds

    async def sleep(self, seconds: float) -> None:
        """Let the time pass and give others a turn; wait for ever once the end is reached."""
        self.sleeps.append(seconds)
        self.now_seconds += seconds
        if self.now_seconds >= self._until_seconds:
            self.reached.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
