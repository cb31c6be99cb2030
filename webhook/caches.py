"""What a decision may look at besides the review: our own resources, kept up to date by watches.

Nothing here waits or asks the API server; the process feeds it (``webhook.process``).
"""

import base64
import binascii
import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
import structlog

from guard import errors as root_errors
from guard.api import guards, keys, names, objects
from guard.api.verdicts import Mode
from guard.fields import values
from guard.inventory import cache, shards
from guard.policy import callers

GUARDS: Final = "guards"
INVENTORIES: Final = "inventories"
DRIFTREPORTS: Final = "driftreports"
CONFIGURATION: Final = "configuration"
SOURCES: Final = (GUARDS, INVENTORIES, DRIFTREPORTS, CONFIGURATION)
"""What must have been listed once before anything can be judged."""

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SHORT_CHARACTERS: Final = 7

_NO_DRIFTS: Final[Mapping[str, Any]] = {}

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What the webhook knows of one Guard. ``url`` is without user and password."""

    namespace: str
    name: str
    mode: Mode
    url: str = ""
    interval: str = guards.DEFAULT_INTERVAL
    interval_seconds: float = 30.0
    restores: bool = True
    revision: str = ""
    """The applied revision as the Guard's status gives it, such as ``main@3f2c1d9``."""

    @property
    def title(self) -> str:
        """``namespace/name``, as records have it."""
        return f"{self.namespace}/{self.name}"

    @property
    def short_revision(self) -> str:
        """The commit alone, abbreviated."""
        commit = self.revision.rpartition("@")[2]
        return commit[:_SHORT_CHARACTERS] if _COMMIT.match(commit) else commit


class Caches:
    """Guards, inventories, open drifts and the guard process's identity.

    ``installation`` is namespace/release of the Helm install: it is part of every Guard's hash.
    """

    def __init__(self, *, installation: str) -> None:
        self.installation = installation
        self.inventory = cache.InventoryIndex()
        self.identity: callers.Identity | None = None
        self._policies: dict[str, Policy] = {}
        self._drifts: dict[str, dict[keys.ObjectKey, dict[str, Any]]] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._filled: set[str] = set()

    def filled(self, source: str) -> None:
        """Note that one of SOURCES has been listed completely."""
        self._filled.add(source)

    @property
    def missing(self) -> tuple[str, ...]:
        """What has not been listed yet, of SOURCES."""
        return tuple(source for source in SOURCES if source not in self._filled)

    def policy(self, guard_hash: str) -> Policy | None:
        """Give what is known of the Guard with that hash; None for an unknown one."""
        return self._policies.get(guard_hash)

    def drifts(self, guard_hash: str, key: keys.ObjectKey) -> Mapping[str, Any]:
        """Give the open drifts of an object: by readable path the expected value, masked.

        The value is MISSING where the field should not be there.
        """
        return self._drifts.get(guard_hash, {}).get(key, _NO_DRIFTS)

    def put_guard(self, obj: objects.RawObject) -> None:
        """Take over a Guard. One with an invalid spec keeps the last valid one's rules."""
        metadata = objects.metadata_of(obj)
        namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
        guard_hash = names.guard_hash(self.installation, namespace, name)
        status = obj.get("status") or {}
        # While one object of a revision is refused it is not applied whole, yet the others are.
        revision = str(status.get("appliedRevision") or status.get("observedRevision") or "")
        try:
            spec = guards.GuardSpec.parse(obj.get("spec") or {})
        except root_errors.HoldfastError as error:
            _log.warning(
                "a Guard is invalid, its last valid spec stays in force",
                guard=f"{namespace}/{name}",
                error=str(error),
            )
            known = self._policies.get(guard_hash)
            if known is not None:
                self._policies[guard_hash] = dataclasses.replace(known, revision=revision)
            return
        git = spec.source.git
        self._policies[guard_hash] = Policy(
            namespace=namespace,
            name=name,
            mode=spec.admission.mode,
            url=_without_user(git.url),
            interval=git.interval,
            interval_seconds=git.interval_seconds,
            restores=spec.drift.restore,
            revision=revision,
        )

    def drop_guard(self, obj: objects.RawObject) -> None:
        """Forget a Guard that was deleted: its mark then means nothing."""
        metadata = objects.metadata_of(obj)
        self._policies.pop(
            names.guard_hash(
                self.installation, metadata.get("namespace", ""), metadata.get("name", "")
            ),
            None,
        )

    def put_inventory(self, obj: objects.RawObject) -> None:
        """Take over a shard. One that cannot be read is logged, and the one before it stays."""
        guard_hash, name = self._owner(INVENTORIES, obj), _title(obj)
        try:
            entries = shards.decode(_blob(obj))
        except root_errors.HoldfastError as error:
            _log.warning("an inventory cannot be read", inventory=name, error=str(error))
            return
        self.inventory.put_shard(guard_hash, name, entries)

    def drop_inventory(self, obj: objects.RawObject) -> None:
        """Forget a shard that was deleted."""
        guard_hash = self._owners.pop((INVENTORIES, _title(obj)), None)
        if guard_hash is not None:
            self.inventory.drop_shard(guard_hash, _title(obj))

    def put_report(self, obj: objects.RawObject) -> None:
        """Take over the open drifts of a Guard."""
        spec = obj.get("spec") or {}
        found: dict[keys.ObjectKey, dict[str, Any]] = {}
        for drift in spec.get("drifts") or ():
            named = drift["object"]
            key = keys.ObjectKey(
                named.get("group") or "", named["kind"], named.get("namespace") or "", named["name"]
            )
            expected = {field["path"]: _expected(field) for field in drift.get("fields") or ()}
            if expected:
                found[key] = expected
        self._drifts[self._owner(DRIFTREPORTS, obj)] = found

    def drop_report(self, obj: objects.RawObject) -> None:
        """Forget the open drifts of a Guard: all is in order, or it was deleted."""
        guard_hash = self._owners.pop((DRIFTREPORTS, _title(obj)), None)
        if guard_hash is not None:
            self._drifts.pop(guard_hash, None)

    def put_configuration(self, obj: objects.RawObject) -> None:
        """Read the guard process's identity; an unreadable one counts as none."""
        text = (objects.metadata_of(obj).get("annotations") or {}).get(names.ANNOTATION_IDENTITY)
        self.identity = _identity(text) if text else None

    def drop_configuration(self, obj: objects.RawObject) -> None:
        """Keep the identity: a deleted configuration changes nobody's uid."""

    def handlers(
        self,
    ) -> Mapping[
        str, tuple[Callable[[objects.RawObject], None], Callable[[objects.RawObject], None]]
    ]:
        """Give for each of SOURCES what to call with an object that is there, or that went."""
        return {
            GUARDS: (self.put_guard, self.drop_guard),
            INVENTORIES: (self.put_inventory, self.drop_inventory),
            DRIFTREPORTS: (self.put_report, self.drop_report),
            CONFIGURATION: (self.put_configuration, self.drop_configuration),
        }

    def _owner(self, source: str, obj: objects.RawObject) -> str:
        """Give the hash of the Guard that an Inventory or DriftReport belongs to, and keep it.

        By the object's own namespace: nobody speaks for a Guard of another one. It is kept since a
        deletion that is found by a list tells no more than the name.
        """
        guard = str((obj.get("spec") or {}).get("guard") or "")
        namespace = objects.metadata_of(obj).get("namespace", "")
        guard_hash = names.guard_hash(self.installation, namespace, guard)
        self._owners[source, _title(obj)] = guard_hash
        return guard_hash


def _title(obj: objects.RawObject) -> str:
    metadata = objects.metadata_of(obj)
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _blob(obj: objects.RawObject) -> bytes:
    """Give the shard's blob; nonsense in its place is decoded to what no shard can be."""
    data = (obj.get("spec") or {}).get("data") or ""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""


def _expected(field: Mapping[str, Any]) -> Any:
    text = field.get("expected")
    if text is None:
        return values.MISSING
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text  # a long value was cut short: good to show, and equal to nothing


def _identity(text: str) -> callers.Identity | None:
    try:
        raw = orjson.loads(text)
        return callers.Identity(str(raw["username"]), str(raw["uid"]))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        _log.warning("the guard process's identity cannot be read", error=type(error).__name__)
        return None


def _without_user(url: str) -> str:
    """Cut user and password out of a URL: whoever gets a denial need not know them."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:  # a broken IPv6 host; the Guard's status says so
        return ""
    if parts.scheme and "@" in parts.netloc:
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return url
