"""Verbs on objects. Bodies and answers are raw JSON; no model classes in between.

Every write to an existing object should carry its uid *and* its resourceVersion. The version alone
does not lock: a missing object would be created. Values that mean "no lock" to the server
(an empty version, or "0") are refused here.
"""

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import errors, resources

APPLY_PATCH: Final = "application/apply-patch+yaml"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"

PAGE_SIZE: Final = 500
"""What client-go's pager uses: about 0.5 MB of ConfigMaps, 7 ms to answer."""

_READ_TIMEOUT_SECONDS: Final = 10.0
_WRITE_TIMEOUT_SECONDS: Final = 30.0  # admission webhooks of others may take 10 s each
_LIST_TIMEOUT_SECONDS: Final = 60.0  # a full list of large objects behind a slow etcd


class Page(NamedTuple):
    """One page of a list.

    ``resource_version`` is that of the whole list: watch from there. ``is_first`` is set a second
    time when a list had to start over: drop what the pages before have told.
    """

    items: list[objects.RawObject]
    resource_version: str
    is_first: bool


async def get(
    client: clients.Client, resource: resources.Resource, namespace: str, name: str
) -> objects.RawObject:
    """Read one object. Raises NotFound."""
    return await _send(client, "GET", resource, resource.path(namespace, name))


async def create(
    client: clients.Client, resource: resources.Resource, obj: objects.RawObject, manager: str
) -> objects.RawObject:
    """Create one object. Raises Conflict if the name is taken."""
    path = resource.collection(_namespace_of(resource, obj))
    return await _send(client, "POST", resource, path, query=_writing(manager), body=obj)


async def replace(
    client: clients.Client, resource: resources.Resource, obj: objects.RawObject, manager: str
) -> objects.RawObject:
    """Replace one object by PUT. Its metadata should carry the resourceVersion that was read.

    Raises Conflict if the object has changed since, NotFound if it is gone.
    """
    path = _path_of(resource, obj)
    return await _send(client, "PUT", resource, path, query=_writing(manager), body=obj)


async def patch(
    client: clients.Client,
    resource: resources.Resource,
    namespace: str,
    name: str,
    patch: Any,
    *,
    content_type: str,
    manager: str,
    subresource: str = "",
) -> objects.RawObject:
    """Patch one object (JSON patch or merge patch; for server-side apply see ``apply``).

    A JSON patch locks by ``{"op": "replace", "path": "/metadata/resourceVersion", ...}``: a real
    Conflict if stale, where ``test`` gives a vague Invalid.
    """
    path = resource.path(namespace, name, subresource)
    return await _send(
        client,
        "PATCH",
        resource,
        path,
        query=_writing(manager),
        body=patch,
        content_type=content_type,
    )


async def delete(
    client: clients.Client,
    resource: resources.Resource,
    namespace: str,
    name: str,
    *,
    uid: str | None = None,
    resource_version: str | None = None,
    propagation_policy: str = "Background",
) -> objects.RawObject:
    """Delete one object if it is still that very one.

    Answers the object if it lingers (finalizers), else a Status. Raises Conflict if uid or version
    differ, NotFound if it is gone.
    """
    locks = {"uid": uid, "resourceVersion": resource_version}
    options = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": propagation_policy,
        "preconditions": {key: value for key, value in locks.items() if value is not None},
    }
    return await _send(client, "DELETE", resource, resource.path(namespace, name), body=options)


async def apply(
    client: clients.Client,
    resource: resources.Resource,
    obj: objects.RawObject,
    *,
    manager: str,
    force: bool,
    uid: str | None = None,
    resource_version: str | None = None,
    dry_run: bool = False,
) -> objects.RawObject:
    """Apply an object server-side; answers it as stored.

    With ``uid`` and ``resource_version`` only that very object in that very version is changed;
    without them a missing object is created. Raises Conflict if the object has changed, is gone,
    or (unforced) if another manager owns a field with another value; Invalid if uid names another
    object, or if a field is unknown; ValueError for half a lock.
    """
    if (uid is None) != (resource_version is None):
        message = "uid and resourceVersion lock only together"
        raise ValueError(message)
    if uid == "" or resource_version in {"", "0"}:
        message = "an empty uid, and an empty or zero resourceVersion, are no lock"
        raise ValueError(message)
    body = obj
    if uid is not None:
        locks = {"uid": uid, "resourceVersion": resource_version}
        body = {**obj, "metadata": {**obj["metadata"], **locks}}
    query = {**_writing(manager), "force": "true" if force else "false"}
    if dry_run:
        query["dryRun"] = "All"
    return await _send(
        client,
        "PATCH",
        resource,
        _path_of(resource, obj),
        query=query,
        body=body,
        content_type=APPLY_PATCH,
    )


async def pages(
    client: clients.Client,
    resource: resources.Resource,
    *,
    namespace: str = "",
    label_selector: str = "",
    field_selector: str = "",
    page_size: int = PAGE_SIZE,
) -> AsyncIterator[Page]:
    """List all objects page by page, of one consistent version.

    Should the version expire between two pages (410), everything is listed anew in one page, as
    client-go's pager does. Items carry apiVersion and kind,
    which the server leaves out in lists.
    """
    query = {"limit": str(page_size), **selectors(label_selector, field_selector)}
    path = resource.collection(namespace)
    while True:
        try:
            raw = await _send(
                client, "GET", resource, path, query=query, timeout_seconds=_LIST_TIMEOUT_SECONDS
            )
        except errors.Gone:
            if "continue" not in query:
                raise
            query = selectors(label_selector, field_selector)
            continue
        metadata = raw.get("metadata") or {}
        items = raw.get("items") or []
        for item in items:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        yield Page(items, metadata.get("resourceVersion") or "", "continue" not in query)
        following = metadata.get("continue")
        if not following:
            return
        query["continue"] = following


async def list_all(
    client: clients.Client,
    resource: resources.Resource,
    *,
    namespace: str = "",
    label_selector: str = "",
    field_selector: str = "",
) -> list[objects.RawObject]:
    """List all objects at once, each of them once."""
    found: list[objects.RawObject] = []
    async for page in pages(
        client,
        resource,
        namespace=namespace,
        label_selector=label_selector,
        field_selector=field_selector,
    ):
        if page.is_first:
            found.clear()
        found += page.items
    return found


def selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    """Give the query of a list or watch that is restricted by selectors."""
    query = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


def _writing(manager: str) -> dict[str, str]:
    return {"fieldManager": manager, "fieldValidation": "Strict"}


def _namespace_of(resource: resources.Resource, obj: objects.RawObject) -> str:
    metadata = objects.metadata_of(obj)
    namespace = metadata.get("namespace", "")
    if resource.namespaced and not namespace:
        raise errors.NamespaceMissing(resource.kind, metadata.get("name", ""))
    return namespace


def _path_of(resource: resources.Resource, obj: objects.RawObject) -> str:
    return resource.path(_namespace_of(resource, obj), objects.metadata_of(obj)["name"])


async def _send(
    client: clients.Client,
    method: str,
    resource: resources.Resource,
    path: str,
    *,
    query: dict[str, str] | None = None,
    body: Any = None,
    content_type: str = "application/json",
    timeout_seconds: float | None = None,
) -> objects.RawObject:
    if timeout_seconds is None:
        timeout_seconds = _READ_TIMEOUT_SECONDS if method == "GET" else _WRITE_TIMEOUT_SECONDS
    answer = await client.request(
        method,
        path,
        query=query,
        body=body,
        content_type=content_type,
        timeout_seconds=timeout_seconds,
        sensitive=resource.sensitive,
    )
    if not isinstance(answer, dict):
        message = f"The API server answered {method} {path} with something that is no object."
        raise errors.Unintelligible(message)
    return answer
