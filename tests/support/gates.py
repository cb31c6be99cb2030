"""A webhook without server and cluster: caches filled by hand, and a gate that keeps records."""

import base64
import dataclasses
import itertools
import json
from typing import Any

from guard.api import keys, names, objects
from guard.audit import record
from guard.fields import digests, fieldset
from guard.inventory import entries, mark, shards
from guard.policy import callers, secrecy
from webhook import caches as caches_
from webhook import gate, judge, metrics

INSTALLATION = names.DEFAULT_INSTALLATION
IDENTITY = callers.Identity("system:serviceaccount:holdfast-system:holdfast-guard", "guard-uid")
MASKER = secrecy.Masker(b"k" * 32)
NOW_NS = 1_795_600_000_000_000_000


def guard_object(
    namespace: str, name: str, *, mode: str = "Deny", restore: bool = True
) -> objects.RawObject:
    """Make a Guard as the API server would send it."""
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "source": {"git": {"url": "https://robot:hunter2@git.example/shop.git"}},
            "admission": {"mode": mode},
            "drift": {"restore": restore},
        },
        "status": {"appliedRevision": "main@3f2c1d9"},
    }


def inventory_object(
    namespace: str, guard: str, *known: entries.Entry, name: str = ""
) -> objects.RawObject:
    """Make an Inventory shard as the API server would send it."""
    return {
        "metadata": {"namespace": namespace, "name": name or f"{guard}-0"},
        "spec": {"guard": guard, "data": base64.b64encode(shards.encode(known)).decode()},
    }


def entry_of(
    obj: objects.RawObject,
    manager: str,
    *,
    resource: str,
    file: str = "apps/web.yaml",
    state: entries.State = entries.State.SYNCED,
) -> entries.Entry:
    """Make the inventory's entry of an object that is as its source says."""
    declared = fieldset.FieldSet.from_v1(
        next(
            entry["fieldsV1"]
            for entry in obj["metadata"]["managedFields"]
            if entry["manager"] == manager
        )
    )
    replicas = (obj.get("spec") or {}).get("replicas")
    return entries.Entry(
        gvk=keys.GroupVersionKind.of(obj),
        key=keys.ObjectKey.of(obj),
        resource=resource,
        uid=obj["metadata"].get("uid", ""),
        declared=declared,
        digest=digests.digest(obj, declared),
        replicas=replicas,
        state=state,
        file=file,
    )


def filled(
    *, identity: callers.Identity | None = IDENTITY, missing: tuple[str, ...] = ()
) -> caches_.Caches:
    """Make caches that have been listed, but for the ``missing`` ones, and hold nothing.

    Only the guard process's identity is known.
    """
    caches = caches_.Caches(installation=INSTALLATION)
    for source in caches_.SOURCES:
        if source not in missing:
            caches.filled(source)
    caches.identity = identity
    return caches


@dataclasses.dataclass
class Desk:
    """A gate, and what it has written."""

    caches: caches_.Caches
    records: list[record.Record] = dataclasses.field(default_factory=list)
    counters: metrics.Metrics = dataclasses.field(default_factory=metrics.Metrics)

    def __post_init__(self) -> None:
        counter = itertools.count(NOW_NS, 1000)
        self.judge = judge.Judge(self.caches, masker=MASKER)
        self.gate = gate.Gate(
            self.judge,
            installation=INSTALLATION,
            write=self.records.append,
            metrics_=self.counters,
            now_ns=lambda: next(counter),
            entropy=bytes,
            replica=gate.Replica("webhook-0", lambda: not self.caches.missing),
        )

    def ask(self, review: dict[str, Any]) -> dict[str, Any]:
        """Send a review through the gate; give the ``response`` of its answer."""
        answer = json.loads(self.gate.answer(json.dumps(review).encode()).body)
        assert answer["apiVersion"] == "admission.k8s.io/v1"
        assert answer["kind"] == "AdmissionReview"
        response: dict[str, Any] = answer["response"]
        assert response["uid"] == review["request"]["uid"]
        return response


def marked(
    obj: objects.RawObject, *, namespace: str, guard: str, file: str = "apps/web.yaml"
) -> objects.RawObject:
    """Stamp an object with the mark of a Guard of this installation."""
    return mark.stamp(
        obj,
        guard_hash=names.guard_hash(INSTALLATION, namespace, guard),
        origin=mark.Origin(INSTALLATION, f"{namespace}/{guard}", keys.ObjectKey.of(obj), file),
    )


def review_of(
    old: objects.RawObject | None,
    new: objects.RawObject | None,
    *,
    resource: str,
    operation: str = "UPDATE",
    subresource: str = "",
    user: dict[str, Any] | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Make a review of an act on an object, by alice unless told."""
    either = old or new or {}
    gvk = keys.GroupVersionKind.of(either)
    metadata = either["metadata"]
    request: dict[str, Any] = {
        "uid": "11111111-2222-3333-4444-555555555555",
        "kind": {"group": gvk.group, "version": gvk.version, "kind": gvk.kind},
        "resource": {"group": gvk.group, "version": gvk.version, "resource": resource},
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "operation": operation,
        "userInfo": user or {"username": "alice", "groups": ["dev", "system:authenticated"]},
        "object": new,
        "oldObject": old,
        "dryRun": dry_run,
        "options": {"kind": "UpdateOptions", "fieldManager": "kubectl-edit"},
    }
    if subresource:
        request["subResource"] = subresource
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
