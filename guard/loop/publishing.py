"""Writing what a loop found: the Guard's status, its DriftReport, and Events. Only on change."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from guard.api import driftreports, guards, names, objects
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources
from guard.loop import drift, plan, reporting, status

_LOG: Final = structlog.get_logger(__name__)

GUARDS: Final = resources.Resource(
    names.GROUP, names.VERSION, guards.KIND, guards.PLURAL, namespaced=True
)
REPORTS: Final = resources.Resource(
    names.GROUP, names.VERSION, driftreports.KIND, driftreports.PLURAL, namespaced=True
)
_EVENTS: Final = resources.Resource("", "v1", "Event", "events", namespaced=True)

_MANAGER: Final = "holdfast"
_EVENT_MESSAGE_CHARS: Final = 1024  # the API server refuses longer ones (core/v1 validation)


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What the watch shows of an Inventory or DriftReport."""

    kind: str
    name: str
    uid: str
    resource_version: str
    deleted: bool


class Publisher:
    """Writes what people and the webhook read about one Guard.

    Nothing is written twice: what stands in the cluster is remembered, and compared first.
    ``now`` gives an aware time, ``suffix`` a short random text for the names of Events.
    """

    def __init__(
        self,
        client: clients.Client,
        *,
        owner: plan.Owner,
        now: Callable[[], dt.datetime],
        suffix: Callable[[], str],
    ) -> None:
        self._client = client
        self._owner = owner
        self._now = now
        self._suffix = suffix
        self._status: guards.GuardStatus | None = None
        self._report: driftreports.DriftReportSpec | None = None
        self._report_version = ("", "")
        self._is_absent = False
        self._told: set[status.News] = set()

    async def write_status(self, wanted: guards.GuardStatus) -> None:
        """Write the status, if it differs from what was written last. Raises ClusterError."""
        if wanted == self._status:
            return
        await verbs.patch(
            self._client,
            GUARDS,
            self._owner.namespace,
            self._owner.name,
            {"status": wanted},
            content_type=verbs.MERGE_PATCH,
            manager=_MANAGER,
            subresource="status",
        )
        self._status = wanted

    async def write_report(self, report: driftreports.DriftReportSpec) -> None:
        """Write the DriftReport, if it differs. One is made only once there is drift.

        Raises ClusterError.
        """
        if report == self._report:
            return
        if self._report is None and not report["drifts"]:
            if not self._is_absent:
                self._is_absent = await self._standing_report() is None
            if self._is_absent:
                return
        body = {
            "apiVersion": names.API_VERSION,
            "kind": driftreports.KIND,
            "metadata": reporting.metadata_of(self._owner),
            "spec": report,
        }
        written = await verbs.apply(self._client, REPORTS, body, manager=_MANAGER, force=True)
        metadata = objects.metadata_of(written)
        self._report_version = (metadata["uid"], metadata["resourceVersion"])
        self._report = report
        self._is_absent = False

    def saw_report(self, seen: Seen) -> None:
        """Note what became of the DriftReport: one that somebody changed is written again."""
        uid, version = self._report_version
        self._is_absent = False
        if seen.deleted:
            if seen.uid == uid:
                self._report = None
        elif seen.uid != uid or not drift.is_stale(seen.resource_version, version):
            self._report = None

    async def _standing_report(self) -> dict[str, Any] | None:
        try:
            return await verbs.get(self._client, REPORTS, self._owner.namespace, self._owner.name)
        except cluster_errors.NotFound:
            return None

    async def tell_all(self, news: Sequence[status.News]) -> None:
        """Write an Event for each piece of news that was not told yet.

        What is told once is told again only after it had gone away in between. An Event is a
        courtesy: one that cannot be written is logged, and never in the way.
        """
        fresh = [one for one in news if one not in self._told]
        self._told = set(news)
        for one in fresh:
            try:
                await verbs.create(self._client, _EVENTS, self._event(one), _MANAGER)
            except cluster_errors.ClusterError as error:
                _LOG.warning("an Event was not written", guard=str(self._owner), error=str(error))

    def _event(self, news: status.News) -> dict[str, Any]:
        now = self._now().astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{self._owner.name}.{self._suffix()}",
                "namespace": self._owner.namespace,
            },
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": guards.KIND,
                "name": self._owner.name,
                "namespace": self._owner.namespace,
                "uid": self._owner.uid,
            },
            "type": "Warning" if news.warning else "Normal",
            "reason": news.reason,
            "message": news.message[:_EVENT_MESSAGE_CHARS],
            "source": {"component": "holdfast-guard"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
