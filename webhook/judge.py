"""From a review and the caches to a judgement: finds the facts, and leaves deciding to the policy.

Whoever is trusted passes before anything is parsed. Which Guard an object belongs to is asked of
the inventory first and of its mark only then, so that neither removing the mark nor copying it
changes the answer.
"""

import dataclasses
import functools
from collections.abc import Collection
from typing import Any, Final

import orjson
import structlog

from guard.api import keys, names, objects
from guard.api.verdicts import Verdict
from guard.fields import errors as fields_errors
from guard.fields import fieldset
from guard.inventory import entries, mark
from guard.policy import callers, decision, secrecy
from guard.policy.callers import CallerClass
from webhook import caches as caches_
from webhook import review

REASON_CACHES: Final = "not judged: the caches are not filled yet"
REASON_IDENTITY: Final = "not judged: the guard process has not made itself known yet"
REASON_UNKNOWN_GUARD: Final = "not judged: the mark names an unknown Guard"

_log = structlog.get_logger(__name__)

_DECLARED_SETS: Final = 4096  # managed-fields entries that are kept parsed: about 10 MB at most


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A judged review. What it is about is known as far as deciding needed it.

    ``guard`` is namespace/name, also of one that is not known (then ``policy`` is None).
    """

    judgement: decision.Judgement
    key: keys.ObjectKey | None = None
    version: str = ""
    uid: str = ""
    resource_version: str = ""
    guard: str = ""
    policy: caches_.Policy | None = None
    file: str = ""


_PASSED: Final = Case(judgement=decision.PASSED)


@dataclasses.dataclass(frozen=True, slots=True)
class _Owner:
    """The Guard of an object, by inventory or mark."""

    guard_hash: str
    entry: entries.Entry | None
    guard: str = ""
    file: str = ""


class Judge:
    """Judges reviews. ``trusted_users`` are user names that the installation trusts besides."""

    def __init__(
        self,
        caches: caches_.Caches,
        *,
        masker: secrecy.Masker,
        trusted_users: Collection[str] = (),
    ) -> None:
        self._caches = caches
        self._masker = masker
        self._trusted_users = frozenset(trusted_users)

    def judge(self, request: review.Request) -> Case:
        """Judge one request. Raises ReviewError if its objects cannot be parsed."""
        caller = self._classify(request.user_info)
        if caller is CallerClass.TRUSTED or request.operation not in {"UPDATE", "DELETE"}:
            return _PASSED
        if request.sub_resource == "scale":
            return self._scale(request, caller)
        return self._object(request, caller)

    def _classify(self, user: review.UserInfo) -> CallerClass:
        caller = callers.Caller(user.username, user.uid, user.groups or (), user.extra or {})
        return callers.classify(
            caller, guard=self._caches.identity, trusted_users=self._trusted_users
        )

    def _object(self, request: review.Request, caller: CallerClass) -> Case:
        old, new = request.both()
        if old is None:
            return _PASSED
        metadata = objects.metadata_of(old)
        # Not the review's own: a collection delete has no name, and a Namespace is in itself.
        key = keys.ObjectKey(
            request.kind.group,
            request.kind.kind,
            metadata.get("namespace") or "",
            metadata.get("name") or request.name,
        )
        owner = self._owner(key, old, new)
        if owner is None:
            return _PASSED
        policy = self._caches.policy(owner.guard_hash)
        if self._caches.missing:
            judgement = _unless_idle(request, old, new, REASON_CACHES)
        elif policy is None:
            judgement = _unless_idle(request, old, new, REASON_UNKNOWN_GUARD)
        else:
            facts = self._facts(request, key, caller, owner, policy, old=old, new=new)
            judgement = self._settled(decision.judge(facts, masker=self._masker), caller)
        return Case(
            judgement=judgement,
            key=key,
            version=request.kind.version,
            uid=metadata.get("uid") or "",
            resource_version=metadata.get("resourceVersion") or "",
            guard=owner.guard if policy is None else policy.title,
            policy=policy,
            file=owner.file,
        )

    def _facts(
        self,
        request: review.Request,
        key: keys.ObjectKey,
        caller: CallerClass,
        owner: _Owner,
        policy: caches_.Policy,
        *,
        old: objects.RawObject,
        new: objects.RawObject | None,
    ) -> decision.Facts:
        entry = owner.entry
        recorded = fieldset.EMPTY if entry is None else entry.declared
        booked = _booked(old, names.field_manager(owner.guard_hash))
        return decision.Facts(
            key=key,
            operation=request.operation,
            subresource=request.sub_resource,
            caller=caller,
            mode=policy.mode,
            old=old,
            new=new,
            declared=recorded if booked is recorded else recorded.union(booked),
            recorded=recorded,
            digest="" if entry is None else entry.digest,
            drifts=self._caches.drifts(owner.guard_hash, key),
            is_orphaned=entry is not None and entry.state is entries.State.ORPHANED,
        )

    def _scale(self, request: review.Request, caller: CallerClass) -> Case:
        """Judge by the cache alone: a Scale has no labels, and not even its parent's kind."""
        resource = request.resource
        found = self._caches.inventory.by_resource(
            resource.group, resource.resource, request.namespace, request.name
        )
        if found is None:
            return _PASSED
        guard_hash, entry = found
        policy = self._caches.policy(guard_hash)
        old, new = request.both()
        if policy is None or old is None or new is None or entry.state is entries.State.ORPHANED:
            return _PASSED
        judgement = decision.judge_scale(
            caller=caller,
            mode=policy.mode,
            declared=entry.replicas,
            old=_replicas(old),
            new=_replicas(new),
        )
        metadata = objects.metadata_of(old)
        return Case(
            judgement=self._settled(judgement, caller),
            key=entry.key,
            version=entry.gvk.version,
            uid=metadata.get("uid") or "",
            resource_version=metadata.get("resourceVersion") or "",
            guard=policy.title,
            policy=policy,
            file=entry.file,
        )

    def _owner(
        self, key: keys.ObjectKey, old: objects.RawObject, new: objects.RawObject | None
    ) -> _Owner | None:
        found = self._caches.inventory.get(key)
        if found is not None:
            guard_hash, entry = found
            return _Owner(guard_hash, entry, file=entry.file)
        for obj in (old, new):
            marked = None if obj is None else mark.read(obj)
            if obj is None or marked is None or not mark.is_own(obj, marked):
                continue
            origin = marked.origin
            if origin is not None and origin.installation == self._caches.installation:
                return _Owner(marked.guard_hash, None, guard=origin.guard, file=origin.file)
        return None

    def _settled(self, judgement: decision.Judgement, caller: CallerClass) -> decision.Judgement:
        """Hold back while the guard process is not known: the workload may be that very process."""
        if (
            judgement.verdict is not Verdict.ALLOWED
            and caller is CallerClass.WORKLOAD
            and self._caches.identity is None
        ):
            return dataclasses.replace(
                judgement, verdict=Verdict.ALLOWED, reason=REASON_IDENTITY, is_unjudged=True
            )
        return judgement


def _unless_idle(
    request: review.Request,
    old: objects.RawObject,
    new: objects.RawObject | None,
    reason: str,
) -> decision.Judgement:
    """Leave an act unjudged, unless it is none that anybody would ask for later.

    A controller writes status all the time; nobody needs a record of each.
    """
    if new is not None and (request.sub_resource or not decision.differ(old, new)):
        return decision.PASSED
    return decision.unjudged(reason)


def _booked(obj: objects.RawObject, manager: str) -> fieldset.FieldSet:
    """Give what managed fields book for a manager's applies; parsed once per content."""
    for entry in objects.metadata_of(obj).get("managedFields") or ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            try:
                return _parsed(orjson.dumps(entry.get("fieldsV1")))
            except fields_errors.FieldsError as error:
                # Anyone may write any entry; the recorded set rules without it.
                _log.warning("a managed-fields entry cannot be read", error=str(error))
            except (orjson.JSONEncodeError, RecursionError):
                _log.warning("a managed-fields entry is nested too deeply")
    return fieldset.EMPTY


@functools.lru_cache(maxsize=_DECLARED_SETS)
def _parsed(fields_v1: bytes) -> fieldset.FieldSet:
    return fieldset.FieldSet.from_v1(orjson.loads(fields_v1))


def _replicas(scale: objects.RawObject) -> int | None:
    spec = scale.get("spec")
    replicas: Any = spec.get("replicas") if isinstance(spec, dict) else None
    return replicas if isinstance(replicas, int) else None
