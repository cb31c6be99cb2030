"""Is a live object what its source says? Pure; the question itself is answered by guard.fields."""

import dataclasses

import orjson

from guard.api import keys, objects
from guard.fields import changes as changes_
from guard.fields import declaration, digests, fieldset, managed
from guard.inventory import entries
from guard.loop import plan


@dataclasses.dataclass(frozen=True, slots=True)
class Drift:
    """How a live object differs from what is expected, and what is known of who did it.

    ``manager`` and ``time`` are those of the newest foreign entry in managedFields that owns a
    changed path: a hint for a person, never a proof of identity.
    """

    changes: tuple[changes_.Change, ...]
    missing: bool = False
    manager: str = ""
    time: str = ""


@dataclasses.dataclass(slots=True)
class Guarded:
    """One guarded object: what is desired, what the server made of it, and how it fares.

    ``applied`` is what ``declared`` and ``expected`` belong to: it lags behind ``desired`` while a
    new revision is refused, and is what drift is put back to until then.
    ``resource_version`` is that of the newest version that we wrote or found in order; events
    that are not newer say nothing new.
    """

    desired: plan.Desired
    applied: plan.Desired | None = None
    uid: str = ""
    resource_version: str = ""
    declared: fieldset.FieldSet = fieldset.EMPTY
    expected: bytes = b""
    digest: str = ""
    replicas: int | None = None
    state: entries.State = entries.State.PENDING
    mutated: tuple[changes_.Change, ...] = ()
    drift: Drift | None = None
    since: str = ""
    message: str = ""
    failures: int = 0
    fault: str = ""
    told: tuple[Drift, str] | None = None

    @property
    def key(self) -> keys.ObjectKey:
        """The object's key."""
        return self.desired.key

    def settle(
        self,
        desired: plan.Desired,
        response: objects.RawObject,
        declared: declaration.Declaration,
    ) -> None:
        """Take over what the server answered to an apply of ``desired``."""
        metadata = objects.metadata_of(response)
        self.applied = desired
        self.uid = metadata.get("uid", "")
        self.resource_version = metadata.get("resourceVersion", "")
        self.declared = declared.declared
        self.expected = orjson.dumps(declared.expected)
        self.digest = digests.digest(declared.expected, declared.declared)
        self.mutated = declared.mutated
        self.replicas = replicas_of(declared.expected)

    @property
    def is_applied(self) -> bool:
        """Tell whether the newest desired state is the one that was applied."""
        return self.applied is not None and self.applied.sent == self.desired.sent

    def calm(self) -> None:
        """Note that the object is in order, as far as we can bring it."""
        self.drift = None
        self.failures = 0
        self.fault = ""
        self.told = None
        self.message = (
            f"another webhook rewrites what is applied to {self.key.title}" if self.mutated else ""
        )
        self.state = entries.State.DRIFTED if self.mutated else entries.State.SYNCED
        if not self.mutated:
            self.since = ""

    def entry(self) -> entries.Entry:
        """Give what the inventory keeps of the object: no values."""
        return entries.Entry(
            gvk=self.desired.gvk,
            key=self.key,
            resource=self.desired.resource.plural,
            uid=self.uid,
            declared=self.declared,
            digest=self.digest,
            sent=self.applied.sent_digest if self.applied else "",
            replicas=self.replicas,
            state=self.state,
            file=self.desired.file,
        )


def replicas_of(expected: objects.RawObject) -> int | None:
    """Give the declared replicas, where the source declares them."""
    spec = expected.get("spec")
    replicas = spec.get("replicas") if isinstance(spec, dict) else None
    return replicas if isinstance(replicas, int) and not isinstance(replicas, bool) else None


def compare(guarded: Guarded, live: objects.RawObject, *, manager: str) -> Drift | None:
    """Compare a live object with what is expected of it; None where it is in order.

    ``manager`` is our own field manager. Drift is judged by content, never by resourceVersion,
    generation or ownership alone.
    """
    found = changes_.changes(
        old=orjson.loads(guarded.expected), new=live, declared=guarded.declared
    )
    return describe(found, live, own_manager=manager) if found else None


def describe(
    found: tuple[changes_.Change, ...], live: objects.RawObject, *, own_manager: str
) -> Drift:
    """Name the newest foreign manager that owns one of the changed paths."""
    newest: managed.Owner | None = None
    for change in found:
        for owner in managed.owners_of(live, change.path):
            if owner.manager != own_manager and (newest is None or owner.time > newest.time):
                newest = owner
    if newest is None:  # a removed path has no owner any more: the newest foreign write, then
        for owner in managed.owners(live):
            if (
                owner.manager != own_manager
                and owner.subresource != "status"
                and (newest is None or owner.time > newest.time)
            ):
                newest = owner
    if newest is None:
        return Drift(found)
    return Drift(found, manager=newest.manager, time=newest.time)


def is_stale(seen: str, newest: str) -> bool:
    """Tell whether an event's resourceVersion is not newer than one that we have already judged.

    Versions of one resource may be compared as integers (KEP-5504, Kubernetes 1.35); a server
    that gives anything else never makes an event stale, and the write's own lock decides.
    """
    return seen.isdigit() and newest.isdigit() and int(seen) <= int(newest)
