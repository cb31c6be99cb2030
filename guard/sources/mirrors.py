"""The local copy of one repository: a bare repository that never has a work tree.

Blocking: everything here runs in a worker thread, under the lock of the mirror.
"""

import asyncio
import contextlib
import fcntl
import math
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import structlog

from guard.sources import causes, commands, errors, listing, source

_LOG = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 0.05
_MAX_PACKS: Final = 50  # each fetch adds one; git itself repacks above 50 (gc.autoPackLimit)
_EVERYTHING: Final = 2**31 - 1  # the depth that git takes for "all of it" in a shallow repository
_FETCH: Final = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
)


@contextlib.asynccontextmanager
async def locked(path: Path, *, within_seconds: float) -> AsyncIterator[int]:
    """Hold the lock of a mirror, against other tasks and other processes; give its descriptor.

    Raises MirrorBusy if it cannot be had in time, GitFailed if the folder cannot be written.
    """
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock_path.open("ab")
    except OSError as error:
        raise _unwritable(error) from error
    with file:
        for _ in range(max(1, math.ceil(within_seconds / _RETRY_SECONDS))):
            if _try_lock(file.fileno()):
                break
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            message = "The mirror of the repository is being used by another process."
            raise errors.MirrorBusy(message)
        yield file.fileno()


class Mirror:
    """One bare repository at ``path``, for the remote ``url``, used under one name of a pin."""

    def __init__(self, path: Path, git: commands.Commands, *, url: str, pin: str) -> None:
        self._path = path
        self._git = git
        self._url = url
        self._pin_ref = f"refs/holdfast/{pin}"
        self._fetched_ref = f"refs/holdfast/fetched/{pin}"

    def prepare(self) -> None:
        """Make the repository if there is none, and clear away what a killed git left."""
        try:
            self._clear_leftovers()
        except OSError as error:
            raise _unwritable(error) from error
        if not (self._path / "HEAD").is_file() or not (self._path / "objects").is_dir():
            # Also completes one that was half made: init does not touch what is there.
            output = self._git.run(["init", "--quiet", "--bare", "--template=", str(self._path)])
            commands.checked(output, doing="init")

    def holds(self, commit: str) -> bool:
        """Tell if the commit is here."""
        output = self._run(["cat-file", "--batch-check"], stdin=f"{commit}\n".encode())
        commands.checked(output, doing="cat-file")
        return output.stdout.split()[1:2] == [b"commit"]

    def fetch(self, commit: str) -> None:
        """Get a commit without its history, or all branches and tags where a server wants that."""
        refspec = f"+{commit}:{self._fetched_ref}"
        output = self._run([*_FETCH, "--depth=1", "--", self._url, refspec])
        if output.status != 0 and causes.is_unadvertised(output.stderr):
            everything = (
                "+refs/heads/*:refs/holdfast/heads/*",
                "+refs/tags/*:refs/holdfast/tags/*",
            )
            output = self._run(
                [*_FETCH, "--prune", f"--depth={_EVERYTHING}", "--", self._url, *everything]
            )
        if output.status != 0:
            raise causes.error(output.stderr, url=self._url)
        if not self.holds(commit):
            shown = source.shown_url(self._url)
            message = f"{shown}: the commit {commit} is not in the repository any more."
            raise errors.UnknownRef(message)
        self._tidy()

    def entries(self, commit: str, path: str) -> tuple[listing.Entry, ...]:
        """Give all files below a path (empty for all) at a commit."""
        below = ["--", path] if path else []
        output = self._run(["ls-tree", "-r", "-l", "-z", "--full-tree", commit, *below])
        return listing.parse(commands.checked(output, doing="ls-tree").stdout)

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Read blobs by their ids."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        stdin = "".join(f"{one}\n" for one in wanted).encode()
        output = commands.checked(self._run(["cat-file", "--batch"], stdin=stdin), doing="cat-file")
        found: dict[str, bytes] = {}
        position = 0
        for id_ in wanted:
            end = output.stdout.find(b"\n", position)
            header = output.stdout[position:end].split()
            if header[1:2] != [b"blob"]:
                message = f"The mirror of the repository is damaged: it has no object {id_}."
                raise errors.CorruptMirror(message)
            start = end + 1
            position = start + int(header[2])
            found[id_] = output.stdout[start:position]
            position += 1
        return found

    def pin(self, commit: str) -> None:
        """Keep a commit for good: no clean-up takes what a ref names."""
        output = self._run(["update-ref", self._pin_ref, commit])
        commands.checked(output, doing="update-ref")

    def pinned(self) -> str | None:
        """Give the commit that is kept, or None if there is none or it is damaged."""
        output = self._run(["rev-parse", "--verify", "--quiet", f"{self._pin_ref}^{{commit}}"])
        return output.stdout.decode("ascii", "replace").strip() if output.status == 0 else None

    def rebuild(self, commit: str) -> None:
        """Make the mirror anew with the commit in it, and put it in place once it is complete.

        What others have pinned comes along where the remote still has it. Raises a SourceError,
        and leaves the damaged mirror as it is, if the remote does not give the commit.
        """
        new = self._path.with_name(f"{self._path.name}.new")
        old = self._path.with_name(f"{self._path.name}.old")
        pins = self._pins()
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Mirror(new, self._git, url=self._url, pin=self._pin_ref.rpartition("/")[2])
        fresh.prepare()
        fresh.fetch(commit)
        for ref, kept in pins.items():
            try:
                other = Mirror(new, self._git, url=self._url, pin=ref.rpartition("/")[2])
                other.fetch(kept)
                other.pin(kept)
            except errors.SourceError as error:
                _LOG.warning("a pinned commit is lost", commit=kept, ref=ref, error=str(error))
        try:
            if self._path.exists():
                self._path.rename(old)
            new.rename(self._path)
        except OSError as error:
            raise _unwritable(error) from error
        shutil.rmtree(old, ignore_errors=True)

    def _pins(self) -> dict[str, str]:
        """Give the pins of everyone that a damaged mirror still names."""
        output = self._run(
            ["for-each-ref", "--format=%(refname) %(objectname)", "refs/holdfast/applied*"]
        )
        pairs = (line.split() for line in output.stdout.decode("ascii", "replace").splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == len(("ref", "id"))}

    def _tidy(self) -> None:
        """Repack once there are many packs. No other reader: the lock is ours."""
        packs = sum(1 for _ in (self._path / "objects" / "pack").glob("*.pack"))
        if packs <= _MAX_PACKS:
            return
        output = self._run(["gc", "--quiet", "--prune=now"])
        if output.status != 0:
            _LOG.warning("the mirror cannot be repacked", reason=causes.detail(output.stderr))

    def _clear_leftovers(self) -> None:
        """Remove lock files and half-written packs: with the lock held, nobody is writing them."""
        leftovers: list[Path] = [
            *self._path.glob("*.lock"),
            *(self._path / "refs").rglob("*.lock"),
            *(self._path / "objects").glob("tmp_*"),
            *(self._path / "objects" / "pack").glob("tmp_*"),
            *(self._path / "objects" / "pack").glob("*.lock"),
        ]
        for leftover in leftovers:
            _LOG.warning("a file of a dead git process is removed", file=leftover.name)
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)

    def _run(self, arguments: list[str], *, stdin: bytes = b"") -> commands.Output:
        return self._git.run(arguments, git_dir=self._path, stdin=stdin)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unwritable(error: OSError) -> errors.GitFailed:
    return errors.GitFailed(f"The mirror of the repository cannot be written: {error.strerror}.")
