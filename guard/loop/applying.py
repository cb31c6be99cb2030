"""Writing one object: every write to an existing one carries its uid and resourceVersion."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import orjson

from guard.api import keys, objects
from guard.cluster import client as client_
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources
from guard.fields import declaration
from guard.inventory import mark
from guard.loop import errors, plan

_TRIES: Final = 4
"""Conflicts in a row before an object is left to its backoff. A controller that writes status
wins a race in about 1 of 20 applies; four in a row are somebody's loop."""

_GETS_AT_MOST: Final = 8
"""Up to so many objects of one kind and namespace are read one by one, more by a list."""


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What the server answered to an apply, and what it made of the manifest."""

    response: objects.RawObject
    declaration: declaration.Declaration


StillNeeded = Callable[[objects.RawObject | None], bool]


class Applier:
    """Reads and writes the objects of one Guard.

    While ``is_off`` says so nothing is written. ``concurrency`` bounds the requests that are under
    way at once.
    """

    def __init__(
        self,
        client: client_.Client,
        *,
        owner: plan.Owner,
        is_off: Callable[[], bool],
        concurrency: int = 16,
    ) -> None:
        self._client = client
        self._owner = owner
        self._is_off = is_off
        self._slots = asyncio.Semaphore(concurrency)

    async def get(self, desired: plan.Desired) -> objects.RawObject | None:
        """Read the live object; None where there is none. Raises ClusterError."""
        return await self.get_at(desired.key, desired.resource)

    async def get_at(
        self, key: keys.ObjectKey, resource: resources.Resource
    ) -> objects.RawObject | None:
        """Read an object of which no more is known than its key. As ``get``."""
        try:
            async with self._slots:
                return await verbs.get(self._client, resource, key.namespace, key.name)
        except cluster_errors.NotFound:
            return None

    async def lives(
        self, desired: Iterable[plan.Desired]
    ) -> Mapping[keys.ObjectKey, objects.RawObject]:
        """Read the live objects of many: few by GET, many by one paged list per kind.

        Objects that do not exist, or cannot be read, are left out; applying them says why.
        """
        places: dict[tuple[str, str], list[plan.Desired]] = {}
        for one in desired:
            places.setdefault((one.resource.collection(), one.key.namespace), []).append(one)
        found: dict[keys.ObjectKey, objects.RawObject] = {}
        async with asyncio.TaskGroup() as group:
            for wanted in places.values():
                if len(wanted) > _GETS_AT_MOST:
                    group.create_task(self._list(wanted, found))
                else:
                    for one in wanted:
                        group.create_task(self._get_into(one, found))
        return found

    async def _get_into(
        self, one: plan.Desired, found: dict[keys.ObjectKey, objects.RawObject]
    ) -> None:
        try:
            live = await self.get(one)
        except cluster_errors.ClusterError:
            return  # the apply that follows meets the same fault and reports it with its file
        if live is not None:
            found[one.key] = live

    async def _list(
        self, wanted: list[plan.Desired], found: dict[keys.ObjectKey, objects.RawObject]
    ) -> None:
        keyed = {one.key.name: one for one in wanted}
        try:
            async for page in verbs.pages(
                self._client, wanted[0].resource, namespace=wanted[0].key.namespace
            ):
                for item in page.items:
                    one = keyed.get(item["metadata"]["name"])
                    if one is not None:
                        found[one.key] = item
        except cluster_errors.ClusterError:
            return  # as above: the apply reports it

    async def apply(
        self,
        desired: plan.Desired,
        live: objects.RawObject | None,
        *,
        dry_run: bool = False,
        still_needed: StillNeeded | None = None,
    ) -> Applied | None:
        """Apply the object: created where there is none, else forced and locked.

        A conflict means that somebody wrote in between: read again, ask ``still_needed`` (which
        gets the object as it is now, None where it is gone) and retry. None is returned where it
        answers no.

        Raises EnforcementOff, OwnershipConflict if another Guard's mark is on it, ClusterError if
        the server refuses or is away, FieldsError if it did not book what was sent.
        """
        for _ in range(_TRIES - 1):
            try:
                return await self._apply_once(desired, live, dry_run=dry_run)
            except (cluster_errors.Conflict, cluster_errors.Invalid) as error:
                if not _is_lost_race(error):
                    raise
            live = await self.get(desired)
            if still_needed is not None and not still_needed(live):
                return None
        return await self._apply_once(desired, live, dry_run=dry_run)

    async def _apply_once(
        self, desired: plan.Desired, live: objects.RawObject | None, *, dry_run: bool
    ) -> Applied:
        if self._is_off() and not dry_run:
            raise errors.EnforcementOff
        self._check_owner(desired, live)
        metadata = objects.metadata_of(live) if live is not None else {}
        sent = orjson.loads(desired.sent)
        async with self._slots:
            response = await verbs.apply(
                self._client,
                desired.resource,
                sent,
                manager=self._owner.manager,
                # Unforced on creation: an object that came into being meanwhile is a conflict to
                # look at, not one to overwrite.
                force=live is not None,
                uid=metadata.get("uid"),
                resource_version=metadata.get("resourceVersion"),
                dry_run=dry_run,
            )
        return Applied(
            response,
            declaration.declare(sent=sent, response=response, manager=self._owner.manager),
        )

    def _check_owner(self, desired: plan.Desired, live: objects.RawObject | None) -> None:
        found = mark.read(live) if live is not None else None
        if (
            live is None
            or found is None
            or found.guard_hash == self._owner.hash
            or not mark.is_own(live, found)
        ):
            return
        other = found.origin.guard if found.origin else f"with hash {found.guard_hash}"
        raise errors.OwnershipConflict(
            desired.key,
            desired.file,
            desired.line,
            f"is guarded by Guard {other} already; take it out of one of the two sources",
        )


def _is_lost_race(error: cluster_errors.ApiStatusError) -> bool:
    """Tell whether somebody wrote, replaced or deleted the object since we read it.

    A uid that no longer fits is a 422 on metadata.uid; everything else of 422 is for good.
    """
    if isinstance(error, cluster_errors.Conflict):
        return True
    return any(cause.field == "metadata.uid" for cause in error.causes)
