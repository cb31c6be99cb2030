"""Which kinds an API server serves, by aggregated discovery (KEP-3352): two requests for all.

A dead extension server takes nothing away from the others: the answer marks its group Stale and
holds all the rest (argo-cd#20828 tells how one dead APIService stopped every sync).
"""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

from guard.api import keys
from guard.cluster import client as clients
from guard.cluster import errors, resources

_LIST: Final = "as=APIGroupDiscoveryList"
_AGGREGATED: Final = (
    f"application/json;g=apidiscovery.k8s.io;v=v2;{_LIST},"
    f"application/json;g=apidiscovery.k8s.io;v=v2beta1;{_LIST},"  # before 1.30; the shape is equal
    "application/json"
)
_TIMEOUT_SECONDS: Final = 30.0  # the aggregator itself waits 5 s for each extension server


class Discovery:
    """The kinds of one API server, cached. A miss asks the server once more, then raises."""

    def __init__(self, client: clients.Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._refreshes = 0
        self._catalog = _Catalog()

    async def find(self, gvk: keys.GroupVersionKind) -> resources.Resource:
        """Give the resource of a kind in that version.

        Raises UnknownKind; its subclass GroupUnavailable if the group's server does not answer.
        """
        seen = self._refreshes
        if gvk not in self._catalog.by_kind:
            await self._refresh(seen)
        found = self._catalog.by_kind.get(gvk)
        if found is None:
            raise self._unknown(str(gvk), gvk.group)
        return found

    async def find_kind(self, group: str, kind: str) -> resources.Resource:
        """Give the resource of a kind in the server's preferred version. Raises as ``find``."""
        seen = self._refreshes
        found = self._catalog.preferred(group, kind)
        if found is None:
            await self._refresh(seen)
            found = self._catalog.preferred(group, kind)
        if found is None:
            raise self._unknown(f"{group}/{kind}" if group else kind, group)
        return found

    async def search(self, word: str) -> list[resources.Resource]:
        """Give the kinds that a person may mean by ``word``, each in its preferred version.

        Compared with plural, singular, kind and short names, in any case; ``deploy.apps`` narrows
        it to a group. Built-in groups come first, as the server orders them. Empty if none fits.
        """
        seen = self._refreshes
        found = self._catalog.search(word)
        if not found:
            await self._refresh(seen)
            found = self._catalog.search(word)
        return found

    async def unavailable_groups(self) -> list[str]:
        """Give the groups whose server does not answer, as of the last look. Sorted."""
        if not self._refreshes:
            await self._refresh(0)
        return sorted({group for group, _ in self._catalog.stale})

    def forget(self) -> None:
        """Drop what is cached: the next question asks the server."""
        self._catalog = _Catalog()

    def _unknown(self, title: str, group: str) -> errors.UnknownKind:
        if any(group == stale for stale, _ in self._catalog.stale):
            return errors.GroupUnavailable(title)
        return errors.UnknownKind(title)

    async def _refresh(self, seen: int) -> None:
        """Ask the server, unless somebody else has since ``seen``: a hundred misses ask once."""
        async with self._lock:
            if self._refreshes != seen:
                return
            core, groups = await asyncio.gather(self._ask("/api"), self._ask("/apis"))
            self._catalog = _read(itertools.chain(core, groups), self._catalog)
            self._refreshes += 1

    async def _ask(self, path: str) -> list[dict[str, Any]]:
        answer = await self._client.request(
            "GET", path, accept=_AGGREGATED, timeout_seconds=_TIMEOUT_SECONDS
        )
        if not isinstance(answer, dict) or answer.get("kind") != "APIGroupDiscoveryList":
            message = (
                f"{self._client.server}{path} offers no aggregated discovery: "
                "Kubernetes 1.27 or newer is needed."
            )
            raise errors.Unintelligible(message)
        items: list[dict[str, Any]] = answer.get("items") or []
        return items


class _Catalog:
    """What one look at the server gave, in the server's order of preference."""

    def __init__(self) -> None:
        self.by_kind: dict[keys.GroupVersionKind, resources.Resource] = {}
        self.stale: set[tuple[str, str]] = set()

    def preferred(self, group: str, kind: str) -> resources.Resource | None:
        return next(
            (
                resource
                for resource in self.by_kind.values()
                if resource.kind == kind and resource.group == group
            ),
            None,
        )

    def search(self, word: str) -> list[resources.Resource]:
        name, _, group = word.lower().partition(".")
        found: dict[tuple[str, str], resources.Resource] = {}
        for resource in self.by_kind.values():
            if group and resource.group != group:
                continue
            names = {resource.plural, resource.singular, resource.kind.lower()}
            if name in names or name in resource.short_names:
                found.setdefault((resource.group, resource.kind), resource)
        return list(found.values())


def _read(groups: Iterable[dict[str, Any]], before: _Catalog) -> _Catalog:
    """Read the items of APIGroupDiscoveryLists.

    A Stale version without resources keeps those that were known ``before``: its server is away,
    not its kinds.
    """
    catalog = _Catalog()
    for raw_group in groups:
        group = (raw_group.get("metadata") or {}).get("name") or ""
        for raw_version in raw_group.get("versions") or []:
            version = raw_version["version"]
            served = list(_resources(group, version, raw_version.get("resources") or []))
            if raw_version.get("freshness") == "Stale":
                catalog.stale.add((group, version))
                served = served or [
                    resource
                    for gvk, resource in before.by_kind.items()
                    if (gvk.group, gvk.version) == (group, version)
                ]
            for resource in served:
                catalog.by_kind.setdefault(resource.gvk, resource)
    return catalog


def _resources(
    group: str, version: str, raw_resources: Iterable[dict[str, Any]]
) -> Iterator[resources.Resource]:
    for raw in raw_resources:
        yield resources.Resource(
            group=group,
            version=version,
            kind=raw["responseKind"]["kind"],
            plural=raw["resource"],
            namespaced=raw.get("scope") == "Namespaced",
            verbs=frozenset(raw.get("verbs") or ()),
            singular=raw.get("singularResource") or "",
            short_names=tuple(raw.get("shortNames") or ()),
        )
