"""Finding unlocked parts of ourselves, and locking them again when their time is over.

Whoever is no deployer may change our own configuration only after an annotation
``holdfast.dev/unlock: <reason>``. Nothing else takes that away again: it survives an upgrade.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import errors, resources, switch
from guard.cluster import objects as verbs

ANNOTATION: Final = "holdfast.dev/unlock"
OPEN_SECONDS: Final = 15 * 60.0
"""Enough for an emergency that is going on, short enough for one that is over."""

_SELECTOR: Final = "app.kubernetes.io/part-of=holdfast"
_MANAGER: Final = "holdfast"
_RBAC: Final = "rbac.authorization.k8s.io"

_CLUSTER_WIDE: Final = (
    resources.WEBHOOK_CONFIGURATIONS,
    resources.Resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        namespaced=False,
    ),
    switch.CLUSTER_ROLES,
    switch.BINDINGS,
)
_NAMESPACED: Final = (
    resources.Resource(_RBAC, "v1", "Role", "roles", namespaced=True),
    resources.Resource(_RBAC, "v1", "RoleBinding", "rolebindings", namespaced=True),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Unlock:
    """An object that is unlocked. ``manager`` is the field manager that did it: a hint, no proof.

    The user stands in the API server's audit log only. ``since`` is None where managed fields do
    not say.
    """

    resource: resources.Resource
    namespace: str
    name: str
    uid: str
    resource_version: str
    reason: str
    manager: str = ""
    since: dt.datetime | None = None


class Sweep(NamedTuple):
    """What a look at everything found: what is still unlocked, was locked again, or could not be.

    ``unlocked`` holds the ``failed`` ones as well.
    """

    unlocked: tuple[Unlock, ...]
    locked: tuple[Unlock, ...]
    failed: tuple[tuple[Unlock, errors.ClusterError], ...]


def find(obj: objects.RawObject, resource: resources.Resource) -> Unlock | None:
    """Read an object's unlock; None if it has none. An empty reason is none, as in the policy."""
    metadata = objects.metadata_of(obj)
    reason = (metadata.get("annotations") or {}).get(ANNOTATION) or ""
    if not reason:
        return None
    entry: Mapping[str, Any] = next(
        (one for one in metadata.get("managedFields") or () if _books(one)), {}
    )
    return Unlock(
        resource=resource,
        namespace=metadata.get("namespace") or "",
        name=metadata["name"],
        uid=metadata.get("uid") or "",
        resource_version=metadata.get("resourceVersion") or "",
        reason=reason,
        manager=entry.get("manager") or "",
        since=_time(entry.get("time")),
    )


def is_overdue(
    unlock: Unlock, *, seen: dt.datetime, now: dt.datetime, open_seconds: float = OPEN_SECONDS
) -> bool:
    """Say whether an unlock has lasted long enough. ``seen`` is when it was first seen here.

    The earlier of both times counts: the one in managed fields can be forged, and moves when its
    manager changes anything else.
    """
    began = seen if unlock.since is None else min(unlock.since, seen)
    return (now - began).total_seconds() >= open_seconds


class Locker:
    """Looks at all of our own parts and locks what has been open for too long."""

    def __init__(
        self, client: clients.Client, *, namespace: str, open_seconds: float = OPEN_SECONDS
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._open_seconds = open_seconds
        self._seen: dict[str, dt.datetime] = {}

    async def sweep(self, now: dt.datetime) -> Sweep:
        """Look once; six lists. Raises ClusterError if something cannot be listed."""
        found = await self._find()
        self._seen = {one.uid: self._seen.get(one.uid, now) for one in found}
        unlocked, locked, failed = [], [], []
        for one in found:
            due = is_overdue(
                one, seen=self._seen[one.uid], now=now, open_seconds=self._open_seconds
            )
            if not due:
                unlocked.append(one)
                continue
            try:
                await lock(self._client, one)
            except errors.NotFound:
                continue
            except errors.ClusterError as error:
                unlocked.append(one)
                failed.append((one, error))
            else:
                locked.append(one)
        return Sweep(tuple(unlocked), tuple(locked), tuple(failed))

    async def _find(self) -> list[Unlock]:
        found = []
        for resource in (*_CLUSTER_WIDE, *_NAMESPACED):
            listed = await verbs.list_all(
                self._client,
                resource,
                namespace=self._namespace if resource.namespaced else "",
                label_selector=_SELECTOR,
            )
            found += [find(obj, resource) for obj in listed]
        return [one for one in found if one is not None]


async def lock(client: clients.Client, unlock: Unlock) -> None:
    """Take the annotation away from the very version that was seen. Raises ClusterError."""
    escaped = ANNOTATION.replace("~", "~0").replace("/", "~1")
    version = unlock.resource_version
    await verbs.patch(
        client,
        unlock.resource,
        unlock.namespace,
        unlock.name,
        [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "remove", "path": f"/metadata/annotations/{escaped}"},
        ],
        content_type=verbs.JSON_PATCH,
        manager=_MANAGER,
    )


def _books(entry: Mapping[str, Any]) -> bool:
    node: Any = entry.get("fieldsV1")
    for step in ("f:metadata", "f:annotations", f"f:{ANNOTATION}"):
        node = node.get(step) if isinstance(node, dict) else None
    return node is not None


def _time(text: Any) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None
