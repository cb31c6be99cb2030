"""What every source offers: revisions, and the files of one of them."""

import dataclasses
import posixpath
import re
from collections.abc import Mapping
from typing import Final, Protocol

_SHORT_DIGITS: Final = 7
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_NAMES: Final = frozenset({"Kustomization"})  # kustomize's other name for kustomization.yaml


@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """One immutable version of a source: its full ``id`` (a commit) and the ref that led to it."""

    id: str
    ref: str

    @property
    def short(self) -> str:
        """The revision for a person: ``main@3f2c1d9``, or ``3f2c1d9`` where the ref is a commit."""
        digits = self.id[:_SHORT_DIGITS]
        if _COMMIT.fullmatch(self.ref):
            return digits
        return f"{self.ref.removeprefix('refs/heads/').removeprefix('refs/tags/')}@{digits}"

    def __str__(self) -> str:
        return self.short


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A file or folder that exists but is not read, and a sentence that says why."""

    file: str
    sentence: str


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """The files of one revision that a renderer can use.

    ``files`` maps paths, relative to the repository's root, to contents, and holds only what lies
    below ``path`` (empty for the whole repository). What should have been read and could not be
    stands in ``refusals``: with any of them the tree is incomplete.
    """

    revision: Revision
    files: Mapping[str, bytes]
    path: str = ""
    refusals: tuple[Refusal, ...] = ()

    def relative(self, file: str) -> str:
        """Give a file's path as seen from the chosen path."""
        if file == self.path:
            return posixpath.basename(file)
        return file.removeprefix(f"{self.path}/") if self.path else file


class Source(Protocol):
    """A place of desired state. Every method but ``close`` raises a SourceError."""

    async def resolve(self) -> Revision:
        """Ask the source which revision its ref names now."""

    async def read(self, revision: Revision) -> Tree:
        """Give the files of a revision; without asking the source if they are here already."""

    async def pin(self, revision: Revision, *, whole: bool = False) -> None:
        """Keep a revision that was read, so that it can be read while the source is away.

        One that was ``whole``, with no fault in any of its files, is kept besides the last one.
        """

    async def pinned(self, *, whole: bool = False) -> Revision | None:
        """Give the revision that was pinned last (as whole), without asking the source."""

    async def close(self) -> None:
        """End what is still running."""


def shown_url(url: str) -> str:
    """Give a URL for people and logs: without user, password, query and fragment.

    Each of them may hold a token. The user of ``git@host:path`` stays: it is a name there.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    address = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = address.partition("/")
    if "@" in path and re.search(r":[^/]*[^0-9/]", host):
        # No port: a password that holds a slash, which belongs in no URL, but does happen.
        host, slash, path = address.rpartition("@")[2].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def is_manifest(relative: str) -> bool:
    """Tell if a file can hold manifests, by its path as seen from the chosen path.

    Hidden folders and files are not: .github/workflows and the like belong to other programs.
    """
    parts = relative.split("/")
    if any(part.startswith(".") for part in parts):
        return False
    return parts[-1].endswith(_SUFFIXES) or parts[-1] in _NAMES
