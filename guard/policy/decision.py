"""What is decided about one act at admission. Pure: everything that it needs is passed in.

An act is judged by content: which declared fields would it change, and do they end at what the
source says? Ownership alone decides nothing. What is given back is masked already, so that no
caller of this module can show a secret by mistake.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from guard.api import keys, objects
from guard.api.verdicts import ChangeKind, Mode, Verdict
from guard.fields import changes as changes_
from guard.fields import digests, fieldset, normal, paths, values
from guard.policy import secrecy
from guard.policy.callers import CallerClass

REASON_DENY: Final = "declared in the source"
REASON_FLAG: Final = "flag mode"
REASON_AUDIT: Final = "audit mode"
REASON_RETURNS: Final = "every changed field ends at what the source says"
REASON_ORPHANED: Final = "the source does not name this object any more"
REASON_UNKNOWN_DECLARED: Final = "not judged: nothing tells which fields the source declares"

_REPLICAS: Final = "spec.replicas"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One declared field that an act changes. Values are JSON values or MISSING, masked.

    ``source`` is what the source says. Where that is not known, ``is_known`` is false and
    ``source`` is the live value before the act.
    """

    path: str
    kind: ChangeKind
    old: Any
    new: Any
    source: Any
    is_known: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and why. ``is_recorded`` tells whether the audit log must have it."""

    verdict: Verdict
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    is_recorded: bool = False
    is_unjudged: bool = False


PASSED: Final = Judgement(Verdict.ALLOWED)
"""Nothing that the source declares is touched, or the caller is trusted: nothing to tell."""


def unjudged(reason: str) -> Judgement:
    """Allow what cannot be judged, and have it recorded as such."""
    return Judgement(Verdict.ALLOWED, reason, is_recorded=True, is_unjudged=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an act on a guarded object (UPDATE or DELETE, scale excepted).

    ``declared`` is the recorded declared set together with our manager's entry on the old object,
    and empty where neither is known. ``recorded`` and ``digest`` are the inventory's alone: the
    digest tells whether an object is as the source says. ``drifts`` are the object's open drifts:
    by readable path the expected value (masked, MISSING where the field should not be there).
    """

    key: keys.ObjectKey
    operation: str
    subresource: str = ""
    caller: CallerClass
    mode: Mode
    old: objects.RawObject | None
    new: objects.RawObject | None
    declared: fieldset.FieldSet = fieldset.EMPTY
    recorded: fieldset.FieldSet = fieldset.EMPTY
    digest: str = ""
    drifts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_orphaned: bool = False


def judge(facts: Facts, *, masker: secrecy.Masker) -> Judgement:
    """Judge an UPDATE (of the object or of a subresource of its own kind) or a DELETE.

    The order matters: who may do anything, what is on its way out, what is not touched, what is
    brought back, and only then the mode.
    """
    old = facts.old
    if facts.caller is CallerClass.TRUSTED or old is None:
        return PASSED
    if objects.metadata_of(old).get("deletionTimestamp"):
        # Its deletion was judged; refusing to let a finalizer go hangs it and its namespace
        # (neco-containers#2027, opendatahub-operator#3808).
        return PASSED
    if facts.operation == "DELETE":
        return _delete(facts)
    if facts.operation != "UPDATE" or facts.new is None:
        return PASSED
    return _update(facts, old, facts.new, masker)


def judge_scale(
    *,
    caller: CallerClass,
    mode: Mode,
    declared: int | None,
    old: int | None,
    new: int | None,
) -> Judgement:
    """Judge an UPDATE of a scale subresource; ``declared`` is None where the source is silent.

    ``old`` and ``new`` are the Scale's own ``spec.replicas``, where the server omits 0 (None).
    """
    before, after = old or 0, new or 0
    if caller is CallerClass.TRUSTED or declared is None or before == after:
        return PASSED
    finding = Finding(_REPLICAS, ChangeKind.CHANGED, before, after, declared)
    if after == declared:
        return Judgement(Verdict.ALLOWED, REASON_RETURNS, (finding,), is_recorded=True)
    return _by_mode(mode, (finding,))


def _delete(facts: Facts) -> Judgement:
    if not facts.declared:
        return unjudged(REASON_UNKNOWN_DECLARED)
    if facts.is_orphaned:
        return Judgement(Verdict.ALLOWED, REASON_ORPHANED, is_recorded=True)
    return _by_mode(facts.mode, ())


def _update(
    facts: Facts, old: objects.RawObject, new: objects.RawObject, masker: secrecy.Masker
) -> Judgement:
    found = changes_.changes(old=old, new=new, declared=_in_question(facts.declared, old, new))
    if facts.caller is CallerClass.PERSON:
        # A dangling owner makes the garbage collector delete the object, and metadata may be
        # changed through /status too.
        found += tuple(
            change
            for change in changes_.tampered(old=old, new=new)
            if not facts.declared.covers(change.path)
        )
    if not found:
        if not facts.declared and not facts.subresource and differ(old, new):
            return unjudged(REASON_UNKNOWN_DECLARED)
        return PASSED
    # The old object is what the source says unless its drift is reported, or not even that yet.
    is_in_order = bool(facts.digest) and digests.digest(old, facts.recorded) == facts.digest
    findings = _findings(facts, found, masker, is_known=is_in_order or bool(facts.drifts))
    if facts.is_orphaned:
        return Judgement(Verdict.ALLOWED, REASON_ORPHANED, findings, is_recorded=True)
    if not is_in_order and _returns(facts, new, found, findings):
        return Judgement(Verdict.ALLOWED, REASON_RETURNS, findings, is_recorded=True)
    return _by_mode(facts.mode, findings)


def _in_question(
    declared: fieldset.FieldSet, old: objects.RawObject, new: objects.RawObject
) -> fieldset.FieldSet:
    """Leave out the top-level fields that are one and the same value in both objects.

    Whoever parses a review parses equal bytes once. Fields that are declared empty stay in: what is
    inside of them counts or not by the managed fields of each object.
    """
    children = {
        step: child
        for step, child in zip(declared.steps, declared.subsets, strict=True)
        if not isinstance(step, paths.Field)
        or old.get(step.name, values.MISSING) is not new.get(step.name, values.MISSING)
        or not _says_values_only(child)
    }
    if len(children) == len(declared.steps):
        return declared
    return fieldset.FieldSet.node(children, member=declared.member)


@functools.lru_cache(maxsize=4096)
def _says_values_only(declared: fieldset.FieldSet) -> bool:
    return all(leaf is fieldset.Leaf.VALUE for _, leaf in declared.leaves())


def _by_mode(mode: Mode, findings: tuple[Finding, ...]) -> Judgement:
    match mode:
        case Mode.DENY:
            verdict, reason = Verdict.DENIED, REASON_DENY
        case Mode.FLAG:
            verdict, reason = Verdict.FLAGGED, REASON_FLAG
        case Mode.AUDIT:
            verdict, reason = Verdict.ALLOWED, REASON_AUDIT
    return Judgement(verdict, reason, findings, is_recorded=True)


def _findings(
    facts: Facts,
    found: Iterable[changes_.Change],
    masker: secrecy.Masker,
    *,
    is_known: bool,
) -> tuple[Finding, ...]:
    """Put changes beside what the source says; ``is_known`` tells whether the old values are it."""
    findings = []
    for change in found:
        path = paths.readable(masker.path(facts.key, change.path))
        before = masker.value(facts.key, change.path, change.old)
        after = masker.value(facts.key, change.path, change.new)
        if path in facts.drifts:
            finding = Finding(path, change.kind, before, after, facts.drifts[path])
        elif change.kind is ChangeKind.TAMPERED:
            finding = Finding(path, change.kind, before, after, values.MISSING)
        else:
            finding = Finding(path, change.kind, before, after, before, is_known)
        findings.append(finding)
    return tuple(findings)


def _returns(
    facts: Facts,
    new: objects.RawObject,
    found: tuple[changes_.Change, ...],
    findings: Iterable[Finding],
) -> bool:
    """Tell whether the act only brings things back: wholly, or field by field."""
    if any(change.kind is ChangeKind.TAMPERED for change in found):
        return False
    if facts.digest and digests.digest(new, facts.recorded) == facts.digest:
        # What only our entry on the object names is newer than the digest, which says nothing of
        # it: then everything that changes must be within the recorded set.
        return facts.declared is facts.recorded or found == changes_.changes(
            old=facts.old or {}, new=new, declared=facts.recorded
        )
    return all(
        finding.path in facts.drifts and _same(finding.new, facts.drifts[finding.path])
        for finding in findings
    )


def _same(one: Any, other: Any) -> bool:
    if one is values.MISSING or other is values.MISSING:
        return one is other
    return normal.equal(one, other)


def differ(old: objects.RawObject, new: objects.RawObject) -> bool:
    """Tell whether anything differs but the server's own bookkeeping."""
    return _content(old) != _content(new)


def _content(obj: objects.RawObject) -> objects.RawObject:
    bookkeeping = {"managedFields", "resourceVersion", "generation"}
    metadata = {k: v for k, v in objects.metadata_of(obj).items() if k not in bookkeeping}
    return {**obj, "metadata": metadata}
