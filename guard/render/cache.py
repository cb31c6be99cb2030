"""Files that were parsed before: an unchanged file costs one hash in the next revision."""

import collections
import hashlib
from typing import Final

import orjson

from guard.render import yaml

DEFAULT_MAX_BYTES: Final = 32 * 1024 * 1024


class ParsedFiles:
    """Documents by the content of their file, the least recently used dropped above ``max_bytes``.

    They are kept as JSON text: a tenth of the memory, and whoever changes an object that was
    handed out does not change the cache. Files with faults are parsed again each time.
    """

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._files: collections.OrderedDict[bytes, tuple[tuple[bytes, int], ...]] = (
            collections.OrderedDict()
        )

    def parse(self, data: bytes, *, file: str) -> yaml.Stream:
        """Give what ``yaml.parse`` gives, from the cache where the content is known."""
        # JSON and YAML files are read by different rules, by the name alone.
        digest = hashlib.sha256(data).digest() + (b"j" if file.endswith(".json") else b"y")
        known = self._files.get(digest)
        if known is not None:
            self._files.move_to_end(digest)
            return yaml.Stream(
                tuple(yaml.Document(orjson.loads(text), line) for text, line in known)
            )
        stream = yaml.parse(data, file=file)
        if not stream.faults:
            self._keep(digest, stream)
        return stream

    def _keep(self, digest: bytes, stream: yaml.Stream) -> None:
        texts = tuple((orjson.dumps(item.value), item.line) for item in stream.documents)
        self._files[digest] = texts
        self._bytes += _size(texts)
        while self._bytes > self._max_bytes:
            _, dropped = self._files.popitem(last=False)
            self._bytes -= _size(dropped)


def _size(texts: tuple[tuple[bytes, int], ...]) -> int:
    """Give the bytes of an entry, with what Python adds for the entry itself."""
    return 256 + sum(len(text) + 96 for text, _ in texts)
