"""Cutting a byte stream into lines, in linear time and without aiohttp's limit on their length."""

from guard.cluster import errors


class LineCutter:
    """Collects chunks and gives the lines that they complete.

    aiohttp's own ``readline`` gives up at twice its read buffer (a watch event of 5 MiB is legal),
    and joining a growing buffer with each chunk would be quadratic.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk; give the complete lines, without line feeds and without empty ones.

        Raises Unintelligible once an unfinished line is longer than ``max_bytes``.
        """
        *complete, rest = chunk.split(b"\n")
        if complete:
            complete[0] = b"".join((*self._parts, complete[0]))
            self._parts.clear()
            self._size_bytes = 0
        self._parts.append(rest)
        self._size_bytes += len(rest)
        if self._size_bytes > self._max_bytes:
            message = f"The API server sent a line of more than {self._max_bytes} bytes."
            raise errors.Unintelligible(message)
        return [line for line in complete if line]

    def rest(self) -> bytes:
        """Give what follows the last line feed."""
        return b"".join(self._parts)
