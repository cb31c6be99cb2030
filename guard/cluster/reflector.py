"""List and watch one kind, for ever: what changed, and nothing missed in between.

The library's Watch ends or storms where ours must go on: it retries an expired version with the
same version, reconnects without a pause, hangs on a half-open connection, and gives up on a line of
4 MiB (docs/decisions: own reflector). The shape is that of client-go's Reflector: list, then watch
from the list's version with bookmarks; when the version is too old, list again and compare.
"""

import asyncio
import contextlib
import dataclasses
import enum
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import structlog

from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import errors, resources
from guard.cluster import objects as verbs
from guard.cluster import timing as timings

_logger = structlog.get_logger(__name__)

IDLE_TIMEOUT_SECONDS: Final = 150.0
"""A server sends a bookmark about once a minute; two missed ones and a half mean it is gone."""

_MIN_WATCH_SECONDS: Final = 240.0
_MAX_WATCH_SECONDS: Final = 480.0  # random in between: watches of many kinds do not end together
_HEALTHY_SECONDS: Final = 5.0
"""A watch that lived this long, or told anything, was no failure."""


class EventType(enum.StrEnum):
    """What an event says. SYNCED: a complete list has been compared."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    SYNCED = "SYNCED"


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One change, as it was seen.

    ``object`` is the object as it is now; for DELETED its last state, or only apiVersion, kind and
    metadata with name, namespace, uid and resourceVersion when the deletion was found by a list;
    empty for SYNCED. ``received_at`` is monotonic, in seconds.

    With a selector, DELETED also comes for an object that has merely lost the label: get it before
    calling it missing.
    """

    type: EventType
    object: objects.RawObject
    received_at: float


Handler = Callable[[Event], Awaitable[None] | None]


class _Known(NamedTuple):
    uid: str
    resource_version: str


_Key = tuple[str, str]  # namespace, name


class Reflector:
    """Follows the objects of one resource; call ``run`` once, in a task of its own.

    ``synced`` is set after the first complete list. ``last_contact`` is the monotonic time of the
    last sign of life (a list, an event, a bookmark), None before the first. ``failure`` is why the
    server cannot be followed at present, None while it can.
    """

    def __init__(
        self,
        client: clients.Client,
        resource: resources.Resource,
        *,
        on_event: Handler,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
        timing: timings.Timing = timings.REAL,
    ) -> None:
        self._client = client
        self._resource = resource
        self._on_event = on_event
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._idle_timeout_seconds = idle_timeout_seconds
        self._timing = timing
        # Only what it takes to see a change: the objects of a whole cluster would not fit.
        self._known: dict[_Key, _Known] = {}
        self._resource_version = ""  # empty: list before watching
        self._heard = False  # whether the present watch has told anything
        self.synced = asyncio.Event()
        self.last_contact: float | None = None
        self.failure: errors.ClusterError | None = None

    async def run(self) -> None:
        """Follow the resource until cancelled.

        Failures of the server are logged, kept in ``failure`` and tried again; an error of the
        handler ends the run, and a new run reports again what was not handled.
        """
        failures = 0
        while True:
            failure: errors.ClusterError | None = None
            watching_since: float | None = None
            self._heard = False
            try:
                if not self._resource_version:
                    await self._list()
                watching_since = self._timing.clock()
                await self._watch()
            except errors.ClusterError as error:
                failure = error
            lived = (
                watching_since is not None
                and self._timing.clock() - watching_since >= _HEALTHY_SECONDS
            )
            if lived and failure is None:
                failures = 0
                continue
            # A server that ends each watch at once would else get a thousand requests a second;
            # lists are no progress, since one may list well and have no version to watch from.
            failures = 1 if lived or self._heard else failures + 1
            self._note(failure, failures)
            await self._timing.back_off(failures)

    async def _list(self) -> None:
        """List everything and report what differs from what is known."""
        seen: set[_Key] = set()
        resource_version = ""
        async for page in verbs.pages(
            self._client,
            self._resource,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        ):
            received_at = self._contact()
            if page.is_first:
                seen.clear()
            for obj in page.items:
                seen.add(await self._compare(obj, received_at))
            resource_version = page.resource_version
        if not resource_version:
            message = f"The list of {self._resource.plural} has no version to watch from."
            raise errors.Unintelligible(message)
        received_at = self._timing.clock()
        for key in [key for key in self._known if key not in seen]:
            await self._forget(key, received_at)
        self._resource_version = resource_version
        await self._tell(EventType.SYNCED, {}, received_at)
        self.synced.set()

    async def _watch(self) -> None:
        """Report each event until the server ends the stream."""
        seconds = self._timing.between(_MIN_WATCH_SECONDS, _MAX_WATCH_SECONDS)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._resource_version,
            "timeoutSeconds": str(int(seconds)),
            **verbs.selectors(self._label_selector, self._field_selector),
        }
        stream = self._client.stream(
            self._resource.collection(self._namespace),
            query=query,
            idle_timeout_seconds=self._idle_timeout_seconds,
            sensitive=self._resource.sensitive,
            on_open=self._contact,
        )
        try:
            async with contextlib.aclosing(stream) as lines:
                async for line in lines:
                    received_at = self._contact()
                    await self._take(line, received_at)
                    self._heard = True
        except (errors.Gone, errors.Silent):
            # Too old, or perhaps deaf for a while: only a list tells what happened meanwhile.
            self._resource_version = ""
            raise

    async def _take(self, line: Any, received_at: float) -> None:
        """Take one line of a watch."""
        try:
            kind, obj = line["type"], line["object"]
            if kind == "ERROR":
                raise self._in_stream(obj)
            metadata = obj["metadata"]
            resource_version = str(metadata["resourceVersion"])
            if kind != "BOOKMARK":
                event = EventType(kind)
                key = (metadata.get("namespace") or "", metadata["name"])
                known = _Known(metadata["uid"], resource_version)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # Not quoted: it may hold anything.
            message = f"The watch of {self._resource.plural} told something that is no event."
            raise errors.Unintelligible(message) from error
        if kind != "BOOKMARK":
            await self._tell(event, obj, received_at)
            if event is EventType.DELETED:
                self._known.pop(key, None)
            else:
                self._known[key] = known
        self._resource_version = resource_version

    def _in_stream(self, status: dict[str, Any]) -> errors.ApiStatusError:
        """Give the error of an ERROR event; whatever it is, list before watching again."""
        self._resource_version = ""
        return errors.from_raw_status(
            int(status.get("code") or 500),
            status,
            sensitive=self._resource.sensitive,
            request=f"a watch of {self._resource.plural}",
        )

    async def _compare(self, obj: objects.RawObject, received_at: float) -> _Key:
        """Report a listed object if it is new or has changed; give its key."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace") or "", metadata["name"])
        now = _Known(metadata.get("uid") or "", metadata.get("resourceVersion") or "")
        before = self._known.get(key)
        if before is not None and before.uid != now.uid:
            await self._forget(key, received_at)
            before = None
        if before != now:
            kind = EventType.ADDED if before is None else EventType.MODIFIED
            await self._tell(kind, obj, received_at)
            self._known[key] = now
        return key

    async def _forget(self, key: _Key, received_at: float) -> None:
        """Report an object that a list no longer shows."""
        namespace, name = key
        uid, resource_version = self._known[key]
        metadata = {"name": name, "uid": uid, "resourceVersion": resource_version}
        if namespace:
            metadata["namespace"] = namespace
        stub = {
            "apiVersion": self._resource.api_version,
            "kind": self._resource.kind,
            "metadata": metadata,
        }
        await self._tell(EventType.DELETED, stub, received_at)
        del self._known[key]

    async def _tell(self, kind: EventType, obj: objects.RawObject, received_at: float) -> None:
        answer = self._on_event(Event(kind, obj, received_at))
        if inspect.isawaitable(answer):
            await answer

    def _contact(self) -> float:
        """Note a sign of life; give its time."""
        self.failure = None
        self.last_contact = self._timing.clock()
        return self.last_contact

    def _note(self, failure: errors.ClusterError | None, failures: int) -> None:
        self.failure = failure
        log = _logger.bind(
            resource=self._resource.plural,
            group=self._resource.group,
            namespace=self._namespace,
            failures=failures,
        )
        if failure is None:
            log.debug("the server ended a watch at once")
        elif isinstance(failure, errors.Gone):
            log.info("a watch was too old and starts over with a list")
        else:
            log.warning("cannot follow a resource", error=str(failure))
