"""A source in memory, for tests of the loop: commits without git, and failures on demand."""

import hashlib
from collections.abc import Mapping

from guard.sources import errors, source


class MemorySource:
    """Implements ``guard.sources.source.Source``. ``commit`` makes the next revision."""

    def __init__(self) -> None:
        self.fault: errors.SourceError | None = None
        self._trees: dict[str, Mapping[str, bytes]] = {}
        self._head: source.Revision | None = None
        self._pinned: dict[bool, source.Revision] = {}

    def commit(self, files: Mapping[str, str]) -> source.Revision:
        """Make a revision that holds just these files; gives it."""
        tree = {name: text.encode() for name, text in files.items()}
        digest = hashlib.sha1(repr((len(self._trees), sorted(tree.items()))).encode()).hexdigest()  # noqa: S324 - stands for a commit id
        self._trees[digest] = tree
        self._head = source.Revision(digest, "main")
        return self._head

    async def resolve(self) -> source.Revision:
        """Give the newest revision, or raise the fault that was asked for."""
        if self.fault is not None:
            raise self.fault
        assert self._head is not None, "the test must commit first"
        return self._head

    async def read(self, revision: source.Revision) -> source.Tree:
        """Give the files of a revision."""
        return source.Tree(revision, self._trees[revision.id])

    async def pin(self, revision: source.Revision, *, whole: bool = False) -> None:
        """Remember the revision."""
        self._pinned[whole] = revision

    async def pinned(self, *, whole: bool = False) -> source.Revision | None:
        """Give the remembered revision, also to a loop that was started anew."""
        return self._pinned.get(whole)

    def lose_mirror(self) -> None:
        """Forget what was pinned, as when the volume of the mirror is lost."""
        self._pinned.clear()

    async def close(self) -> None:
        """Do nothing: the same source serves the next loop."""
