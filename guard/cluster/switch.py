"""The off switch: one binding that ends all enforcement, with all our pods dead as well.

The webhook's entries and our policies ask RBAC whether a fixed service account, which need not
exist, may do ``off`` (charts/holdfast, off-switch.yaml). The guard process asks the same: while it
is off, nothing is restored either.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import structlog

from guard.api import names
from guard.cluster import client as clients
from guard.cluster import errors, reflector, resources
from guard.cluster import objects as verbs
from guard.cluster import timing as timings

_RBAC: Final = "rbac.authorization.k8s.io"

BINDINGS: Final = resources.Resource(
    _RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
CLUSTER_ROLES: Final = resources.Resource(
    _RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False
)

ANNOTATION_BY: Final = "holdfast.dev/off-by"
ANNOTATION_REASON: Final = "holdfast.dev/off-reason"
ANNOTATION_SINCE: Final = "holdfast.dev/off-since"

_MANAGER: Final = "holdfast"
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

_ASK_EVERY_SECONDS: Final = 10.0
"""For what no watch of one name shows: another binding, such as that of an uninstall."""

_ASK_AGAIN_SECONDS: Final = (0.05, 0.2, 1.0)
"""After the binding has changed: the API server's authorizer may learn of it later than we."""

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What the binding says of itself; empty where somebody made it by hand."""

    by: str = ""
    reason: str = ""
    since: str = ""


def binding_name(release: str) -> str:
    """Give the name of the binding whose being there means off, and of the role that it binds."""
    return f"{release}-off"


def subject(namespace: str, release: str) -> dict[str, Any]:
    """Give the service account that all questions are about, as a subject of a binding."""
    return {"kind": "ServiceAccount", "namespace": namespace, "name": f"{release}-switch"}


async def is_off(client: clients.Client, *, namespace: str, release: str) -> bool:
    """Ask whether enforcement is off, as the webhook's conditions do.

    A cluster that gives every right to all service accounts is never off: the second question,
    about a verb that nobody grants, finds that out. Takes the right to create
    SubjectAccessReviews. Raises ClusterError.
    """
    if not await _may(client, "off", namespace=namespace, release=release):
        return False
    return not await _may(client, "never-granted", namespace=namespace, release=release)


async def _may(client: clients.Client, verb: str, *, namespace: str, release: str) -> bool:
    # The groups are those that CEL's authorizer.serviceAccount() asks with.
    review = await client.request(
        "POST",
        _REVIEWS,
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{release}-switch",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
                "resourceAttributes": {
                    "group": names.GROUP,
                    "resource": "enforcement",
                    "verb": verb,
                },
            },
        },
    )
    return bool(review["status"].get("allowed"))


async def standing(client: clients.Client, *, release: str) -> Standing | None:
    """Read the binding; None if there is none. Raises ClusterError."""
    try:
        found = await verbs.get(client, BINDINGS, "", binding_name(release))
    except errors.NotFound:
        return None
    annotations = found["metadata"].get("annotations") or {}
    return Standing(
        by=annotations.get(ANNOTATION_BY, ""),
        reason=annotations.get(ANNOTATION_REASON, ""),
        since=annotations.get(ANNOTATION_SINCE, ""),
    )


async def turn_off(
    client: clients.Client, *, namespace: str, release: str, by: str, reason: str, now: dt.datetime
) -> None:
    """Create the binding. The role owns it, so that it goes with the release.

    Raises NotFound if there is no such role, Conflict if there is a binding already, and other
    ClusterErrors.
    """
    name = binding_name(release)
    role = await verbs.get(client, CLUSTER_ROLES, "", name)
    binding = {
        "apiVersion": BINDINGS.api_version,
        "kind": BINDINGS.kind,
        "metadata": {
            "name": name,
            "annotations": {
                ANNOTATION_BY: by,
                ANNOTATION_REASON: reason,
                ANNOTATION_SINCE: now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "ownerReferences": [
                {
                    "apiVersion": CLUSTER_ROLES.api_version,
                    "kind": CLUSTER_ROLES.kind,
                    "name": name,
                    "uid": role["metadata"]["uid"],
                }
            ],
        },
        "roleRef": {"apiGroup": _RBAC, "kind": CLUSTER_ROLES.kind, "name": name},
        "subjects": [subject(namespace, release)],
    }
    await verbs.create(client, BINDINGS, binding, _MANAGER)


async def turn_on(client: clients.Client, *, release: str) -> bool:
    """Delete the binding; tell whether there was one. Raises ClusterError."""
    try:
        await verbs.delete(client, BINDINGS, "", binding_name(release))
    except errors.NotFound:
        return False
    return True


class Switch:
    """Follows the switch; call ``run`` once, in a task of its own.

    ``is_off`` is False until the first answer, which sets ``known``: wait for that before anything
    is restored. ``on_change`` is called with each new state, the first one included if it is off.
    """

    def __init__(
        self,
        client: clients.Client,
        *,
        namespace: str,
        release: str,
        on_change: Callable[[bool], None] = lambda _: None,
        timing: timings.Timing = timings.REAL,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._release = release
        self._on_change = on_change
        self._stirred = asyncio.Event()
        self._reflector = reflector.Reflector(
            client,
            BINDINGS,
            on_event=self._stir,
            field_selector=f"metadata.name={binding_name(release)}",
            timing=timing,
        )
        self.is_off = False
        self.known = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled. While nobody answers, the last state stays."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reflector.run())
            group.create_task(self._ask_for_ever())

    def _stir(self, _: reflector.Event) -> None:
        self._stirred.set()

    async def _ask_for_ever(self) -> None:
        again = 0
        while True:
            await self._ask()
            soon = again < len(_ASK_AGAIN_SECONDS)
            wait_seconds = _ASK_AGAIN_SECONDS[again] if soon else _ASK_EVERY_SECONDS
            again += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._stirred.wait()
                self._stirred.clear()
                again = 0

    async def _ask(self) -> None:
        try:
            now_off = await is_off(self._client, namespace=self._namespace, release=self._release)
        except errors.ClusterError as error:
            _log.warning("cannot ask whether enforcement is off", error=str(error))
            return
        self.known.set()
        if now_off != self.is_off:
            self.is_off = now_off
            _log.warning("enforcement is off" if now_off else "enforcement is on again")
            self._on_change(now_off)
