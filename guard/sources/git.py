"""A Git repository as source: asked with ls-remote, read from the object database."""

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, TypeVar

import structlog

from guard.sources import addresses, causes, commands, errors, listing, mirrors, refs, source

_LOG = structlog.get_logger(__name__)

_Result = TypeVar("_Result")

_OWNER_HEX_DIGITS: Final = 16
_WHOLE: Final = "-whole"


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How much of a tree a guard process takes: beyond it, it would rather refuse than die."""

    max_file_bytes: int = 10 * 1024 * 1024
    max_tree_bytes: int = 100 * 1024 * 1024


_DEFAULT_LIMITS: Final = Limits()


class GitSource:
    """One ref and one path of a Git repository; satisfies ``source.Source``.

    ``mirror`` is the folder of all mirrors: a bare repository per URL is made in it, shared by all
    sources of that URL. ``owner`` tells apart what several Guards of one mirror have pinned; give
    each Guard its own. Nothing is checked or touched before the first call.
    """

    def __init__(
        self,
        *,
        url: str,
        ref: str,
        path: str,
        mirror: Path,
        owner: str = "",
        allowed_schemes: AbstractSet[str] = frozenset({"https", "ssh"}),
        timeout_seconds: float = 60.0,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        self._url = url
        self._ref = ref
        self._path = path
        self._mirror_path = mirror / f"{addresses.mirror_name(url)}.git"
        self._pin = _pin_name(owner)
        self._allowed_schemes = frozenset(allowed_schemes)
        self._timeout_seconds = timeout_seconds
        self._limits = limits
        self._running: set[commands.Commands] = set()

    @property
    def shown_url(self) -> str:
        """The URL without credentials."""
        return source.shown_url(self._url)

    async def resolve(self) -> source.Revision:
        """Ask the remote for the commit of the ref; a ref that is a full commit names itself.

        Raises RefusedUrl, UnknownRef, and what ``causes`` tells of the remote.
        """
        addresses.check(self._url, allowed_schemes=self._allowed_schemes)
        refs.check(self._ref)
        if refs.is_commit(self._ref):
            return source.Revision(self._ref, self._ref)
        advertised = await self._advertised(*refs.candidates(self._ref))
        commit = refs.choose(self._ref, advertised)
        if commit is None:
            everything = await self._advertised()
            raise refs.unknown(self._ref, everything, shown=self.shown_url)
        return source.Revision(commit, self._ref)

    async def read(self, revision: source.Revision) -> source.Tree:
        """Give the files below the path at a revision; the remote is asked only for what is new.

        Raises RefusedPath, EmptyPath, TreeTooLarge, UnknownRef if the commit is gone, MirrorBusy,
        CorruptMirror if the mirror is damaged and cannot be rebuilt, and what ``causes`` tells.
        """
        path = listing.normalised(self._path)
        if not refs.is_commit(revision.id):
            message = f"{revision.id!r} is no commit."
            raise errors.UnknownRef(message)

        def work(mirror: mirrors.Mirror) -> source.Tree:
            try:
                mirror.prepare()
                return self._tree(mirror, revision, path=path)
            except (errors.CorruptMirror, errors.GitFailed) as damage:
                # A fetch that fails for no known cause may fail for what it finds here.
                return self._tree_rebuilt(mirror, revision, path=path, damage=damage)

        return await self._with_mirror(work)

    async def pin(self, revision: source.Revision, *, whole: bool = False) -> None:
        """Keep a revision that was read. Raises CorruptMirror if it is not in the mirror.

        The last ``whole`` one is kept besides the last one.
        """
        await self._with_mirror(lambda mirror: mirror.pin(revision.id), whole=whole)

    async def pinned(self, *, whole: bool = False) -> source.Revision | None:
        """Give the revision that was pinned last (as whole); None if none of it can be read.

        It is shown with the ref of now. Never raises a SourceError: without a pin the newest
        revision is read.
        """
        if not self._mirror_path.is_dir():
            return None
        try:
            commit = await self._with_mirror(lambda mirror: mirror.pinned(), whole=whole)
        except errors.SourceError as error:
            _LOG.warning("the pinned revision cannot be found", error=str(error))
            return None
        return None if commit is None else source.Revision(commit, self._ref)

    async def close(self) -> None:
        """Kill the git processes that still run; whoever waits for one gets GitFailed."""
        for running in tuple(self._running):
            running.abort()

    async def _advertised(self, *names: str) -> dict[str, str]:
        """Ask the remote for its refs: those of these names, or all branches and tags."""
        kinds = [] if names else ["--heads", "--tags"]
        arguments = ["ls-remote", "--quiet", *kinds, "--", self._url, *names]
        git = self._commands()
        output = await self._in_thread(git, lambda: git.run(arguments))
        if output.status != 0:
            raise causes.error(output.stderr, url=self._url)
        return refs.parse(output.stdout.decode("utf-8", "replace"))

    def _tree(self, mirror: mirrors.Mirror, revision: source.Revision, *, path: str) -> source.Tree:
        if not mirror.holds(revision.id):
            addresses.check(self._url, allowed_schemes=self._allowed_schemes)
            mirror.fetch(revision.id)
        entries = mirror.entries(revision.id, path)
        links = {one.path: one.id for one in entries if one.is_link}
        contents = mirror.blobs(links.values())
        targets = {place: contents[id_].decode("utf-8", "replace") for place, id_ in links.items()}
        plan = listing.plan(entries, targets, path=path, max_file_bytes=self._limits.max_file_bytes)
        at = f"{self._path} at {revision.short}"
        if not plan.blobs and not plan.refusals:
            what = "holds no YAML or JSON file" if entries else "does not exist"
            message = f"{self.shown_url}: the path {at} ({revision.id}) {what}."
            raise errors.EmptyPath(message)
        sizes = {one.id: one.bytes for one in entries}
        total_bytes = sum(sizes[id_] for id_ in plan.blobs.values())
        if total_bytes > self._limits.max_tree_bytes:
            message = (
                f"{self.shown_url}: the files below {at} have {total_bytes} bytes, "
                f"more than {self._limits.max_tree_bytes}."
            )
            raise errors.TreeTooLarge(message)
        blobs = mirror.blobs(plan.blobs.values())
        files = {place: blobs[id_] for place, id_ in plan.blobs.items()}
        return source.Tree(revision, files, path, plan.refusals)

    def _tree_rebuilt(
        self,
        mirror: mirrors.Mirror,
        revision: source.Revision,
        *,
        path: str,
        damage: errors.SourceError,
    ) -> source.Tree:
        _LOG.warning("a damaged mirror is rebuilt", url=self.shown_url, reason=str(damage))
        try:
            addresses.check(self._url, allowed_schemes=self._allowed_schemes)
            mirror.rebuild(revision.id)
        except errors.SourceError as error:
            if not isinstance(damage, errors.CorruptMirror):
                raise
            message = f"{damage} It cannot be rebuilt: {error}"
            raise errors.CorruptMirror(message) from error
        return self._tree(mirror, revision, path=path)

    async def _with_mirror(
        self, work: Callable[[mirrors.Mirror], _Result], *, whole: bool = False
    ) -> _Result:
        pin = f"{self._pin}{_WHOLE if whole else ''}"
        # Whoever holds the lock is done within two commands, each with our timeout.
        patience_seconds = 2 * self._timeout_seconds
        async with mirrors.locked(self._mirror_path, within_seconds=patience_seconds) as lock:
            git = self._commands(inherited=lock)
            mirror = mirrors.Mirror(self._mirror_path, git, url=self._url, pin=pin)
            return await self._in_thread(git, lambda: work(mirror))

    def _commands(self, *, inherited: int | None = None) -> commands.Commands:
        return commands.Commands(
            schemes=self._allowed_schemes,
            timeout_seconds=self._timeout_seconds,
            inherited=inherited,
        )

    async def _in_thread(self, git: commands.Commands, work: Callable[[], _Result]) -> _Result:
        """Run blocking work; a cancelled caller kills its git, and waits for the thread to end.

        Else a thread would go on writing after the lock is released, and hold up the shutdown.
        """
        task = asyncio.ensure_future(asyncio.to_thread(work))
        self._running.add(git)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            git.abort()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # retrieved: how aborted work ends is nobody's concern
            raise
        finally:
            self._running.discard(git)


def _pin_name(owner: str) -> str:
    """Give the last part of the pin's ref: hashed, since an owner may be called anything."""
    if not owner:
        return "applied"
    return f"applied-{hashlib.sha256(owner.encode()).hexdigest()[:_OWNER_HEX_DIGITS]}"
