"""The DriftReport of a Guard: what stays different, readable, without a secret. Pure."""

import json
from collections.abc import Iterable
from typing import Any, Final

from guard.api import driftreports, keys, names
from guard.fields import changes as changes_
from guard.fields import paths, values
from guard.inventory import entries
from guard.loop import drift, plan
from guard.policy import secrecy

_REPORTED: Final = {entries.State.DRIFTED: "Drifted", entries.State.FAILED: "Failed"}


def report_of(
    guarded: Iterable[drift.Guarded],
    orphans: Iterable[entries.Entry],
    *,
    owner: plan.Owner,
    masker: secrecy.Masker,
    revision: str,
    orphaned_since: str,
) -> driftreports.DriftReportSpec:
    """Give the report; objects in order are not in it. Too many are cut, and said to be cut."""
    drifts = [_drift(one, masker) for one in guarded if one.state in _REPORTED]
    drifts += [_orphan(one, orphaned_since) for one in orphans]
    return {
        "guard": owner.name,
        "revision": revision,
        "drifted": len(drifts),
        "truncated": len(drifts) > driftreports.MAX_DRIFTS,
        "drifts": drifts[: driftreports.MAX_DRIFTS],
    }


def metadata_of(owner: plan.Owner) -> dict[str, Any]:
    """Give the report's metadata: one for each Guard, gone with it."""
    return {
        "name": owner.name,
        "namespace": owner.namespace,
        "labels": {names.LABEL_INVENTORY: owner.hash},
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": "Guard",
                "name": owner.name,
                "uid": owner.uid,
            }
        ],
    }


def _drift(one: drift.Guarded, masker: secrecy.Masker) -> driftreports.Drift:
    found = (one.drift.changes if one.drift else ()) or one.mutated
    message = one.message
    if one.drift is not None and one.drift.missing:
        message = f"the object is missing{f': {message}' if message else ''}"
    shown: driftreports.Drift = {
        "object": _object(one.key, one.desired.gvk.version, one.uid),
        "state": "Drifted" if one.state is entries.State.DRIFTED else "Failed",
        "since": one.since,
        "file": one.desired.file,
        "message": message[: driftreports.MAX_MESSAGE_CHARS],
        "fields": [
            _field(change) for change in masker.changes(one.key, found)[: driftreports.MAX_FIELDS]
        ],
    }
    return shown


def _orphan(one: entries.Entry, since: str) -> driftreports.Drift:
    return {
        "object": _object(one.key, one.gvk.version, one.uid),
        "state": "Orphaned",
        "since": since,
        "file": one.file,
        "message": "the source names it no more; it is not deleted, and no longer kept",
        "fields": [],
    }


def _object(key: keys.ObjectKey, version: str, uid: str) -> driftreports.DriftObject:
    return {
        "group": key.group,
        "version": version,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "uid": uid,
    }


def _field(change: changes_.Change) -> driftreports.DriftField:
    shown: driftreports.DriftField = {"path": paths.readable(change.path), "kind": change.kind}
    if change.old is not values.MISSING:
        shown["expected"] = _json(change.old)
    if change.new is not values.MISSING:
        shown["live"] = _json(change.new)
    return shown


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= driftreports.MAX_VALUE_CHARS:
        return text
    return text[: driftreports.MAX_VALUE_CHARS - 1] + "…"
