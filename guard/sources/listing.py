"""Which blobs of a commit are read, by ``git ls-tree``, and what is refused by name."""

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping
from typing import Final

from guard.sources import errors, source

_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_MAX_HOPS: Final = 40  # what Linux allows before it calls a chain of links a loop


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``ls-tree -r -l -z``: ``path`` from the root, ``bytes`` 0 for a submodule."""

    mode: str
    id: str
    bytes: int
    path: str

    @property
    def is_link(self) -> bool:
        """A symbolic link; its blob holds the target."""
        return self.mode == _LINK

    @property
    def is_submodule(self) -> bool:
        """A commit of another repository."""
        return self.mode == _SUBMODULE


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to read (paths to blob ids) and what is refused."""

    blobs: Mapping[str, str]
    refusals: tuple[source.Refusal, ...]


def normalised(path: str) -> str:
    """Give the path of a Guard as git writes it: ``./apps/`` is ``apps``, ``.`` is empty.

    Raises RefusedPath for an absolute path and for one that leaves the repository.
    """
    if path.startswith("/") or ".." in path.split("/") or any(char < " " for char in path):
        message = f"The path {path!r} is not one inside the repository."
        raise errors.RefusedPath(message)
    clean = posixpath.normpath(path or ".")
    return "" if clean == "." else clean


def parse(output: bytes) -> tuple[Entry, ...]:
    """Read ``ls-tree -r -l -z``. Bytes of a name that are no UTF-8 become surrogates."""
    entries = []
    for line in output.split(b"\0"):
        fields, separator, path = line.partition(b"\t")
        if separator:
            mode, _, id_, size = fields.decode("ascii").split()
            name = path.decode("utf-8", "surrogateescape")
            entries.append(Entry(mode, id_, int(size) if size.isdigit() else 0, name))
    return tuple(entries)


def plan(
    entries: Iterable[Entry], targets: Mapping[str, str], *, path: str, max_file_bytes: int
) -> Plan:
    """Choose the files below ``path`` that can hold manifests.

    ``targets`` has the target of each link by the link's path. A link is followed only to what
    lies below ``path`` too, and what is read at its own place is not read a second time
    (argo-cd#9843: a link to /etc leaks files; argo-cd#12593: a strict check refuses a repository
    for a link in a folder that nobody asked for).
    """
    return _Planner(tuple(entries), targets, path=path, max_file_bytes=max_file_bytes).plan()


class _Planner:
    def __init__(
        self,
        entries: tuple[Entry, ...],
        targets: Mapping[str, str],
        *,
        path: str,
        max_file_bytes: int,
    ) -> None:
        self._entries = entries
        self._targets = targets
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._by_path = {entry.path: entry for entry in entries}
        self._blobs: dict[str, str] = {}
        self._refusals: list[source.Refusal] = []

    def plan(self) -> Plan:
        for entry in self._entries:
            if self._is_hidden(entry.path):
                continue
            if not _is_printable(entry.path):
                self._refuse(entry.path, "The name holds control characters or is not UTF-8.")
            elif entry.is_submodule:
                self._refuse(entry.path, "Git submodules are not supported.")
            elif entry.is_link:
                self._link(entry.path)
            else:
                self._file(entry.path, entry)
        return Plan(self._blobs, tuple(self._refusals))

    def _file(self, place: str, entry: Entry) -> None:
        if not source.is_manifest(self._relative(place)):
            return
        if entry.bytes > self._max_file_bytes:
            self._refuse(place, f"The file has more than {self._max_file_bytes} bytes.")
        else:
            self._blobs[place] = entry.id

    def _link(self, place: str) -> None:
        end = self._end_of(place)
        if end is None:
            self._refuse(place, "The symbolic link is one of a loop.")
        elif not self._is_inside(end):
            self._refuse(place, f"The symbolic link leaves the path {self._path or '.'}.")
        elif end in self._by_path:
            self._linked(place, self._by_path[end])
        else:
            below = [entry for entry in self._entries if entry.path.startswith(f"{end}/")]
            # The link to the very root of the repository.
            below = list(self._entries) if not end else below
            if not below:
                self._refuse(place, "The symbolic link points to nothing.")
            for entry in below:
                self._linked(posixpath.join(place, entry.path[len(end) :].lstrip("/")), entry)

    def _linked(self, place: str, entry: Entry) -> None:
        if not self._is_hidden(entry.path) and source.is_manifest(self._relative(entry.path)):
            return  # read at its own place
        if self._is_hidden(place) or not _is_printable(place):
            return
        if entry.is_submodule:
            self._refuse(place, "Git submodules are not supported.")
        elif entry.is_link:
            # Those at visible places stand for themselves.
            if self._is_hidden(entry.path):
                self._refuse(place, "A symbolic link in a linked hidden folder is not followed.")
        else:
            self._file(place, entry)

    def _end_of(self, place: str) -> str | None:
        """Follow a link to its end, through links on the way; None for a loop.

        The end is relative to the root, and begins with ``..`` or ``/`` where it is outside.
        """
        todo = place.split("/")
        done: list[str] = []
        hops = 0
        while todo:
            part = todo.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    return ".."
                done.pop()
                continue
            done.append(part)
            target = self._targets.get("/".join(done))
            if target is None:
                continue
            hops += 1
            if hops > _MAX_HOPS:
                return None
            if target.startswith("/"):
                return target
            done.pop()
            todo = target.split("/") + todo
        return "/".join(done)

    def _is_inside(self, place: str) -> bool:
        if place.startswith(("/", "..")):
            return False
        return not self._path or place == self._path or place.startswith(f"{self._path}/")

    def _is_hidden(self, place: str) -> bool:
        return any(part.startswith(".") for part in self._relative(place).split("/"))

    def _relative(self, place: str) -> str:
        if place == self._path:
            return posixpath.basename(place)
        return place[len(self._path) + 1 :] if self._path else place

    def _refuse(self, place: str, sentence: str) -> None:
        shown = place.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        shown = "".join(char if char.isprintable() else "?" for char in shown)
        self._refusals.append(source.Refusal(shown, sentence))


def _is_printable(place: str) -> bool:
    return all(char.isprintable() for char in place)
