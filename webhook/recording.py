"""The audit record of one review: who wanted to change what, and what was decided.

Every value in it has been masked by the policy. A verdict is an attempt: another webhook, a quota
or a conflict may still refuse what we let pass.
"""

from collections.abc import Callable
from typing import Any

from guard.api.verdicts import Outcome, Verdict
from guard.audit import record as records
from guard.fields import values
from guard.policy import decision
from webhook import judge, message, review


def record_of(
    request: review.Request,
    case: judge.Case,
    *,
    installation: str,
    now_ns: int,
    entropy: Callable[[int], bytes],
) -> records.Record:
    """Make the record. ``now_ns`` is since the epoch, ``entropy`` gives that many random bytes."""
    judgement, key, user = case.judgement, case.key, request.user_info
    policy = case.policy
    text = ""
    if key is not None and judgement.verdict is Verdict.DENIED:
        text = message.headline(key)
    return records.Record(
        id=records.new_id(now_ns, entropy(8)),
        time=records.timestamp(now_ns),
        installation=installation,
        guard=case.guard,
        revision="" if policy is None else policy.revision,
        file=case.file,
        object=records.ObjectRef(
            group=request.kind.group if key is None else key.group,
            version=case.version,
            kind=request.kind.kind if key is None else key.kind,
            namespace=request.namespace if key is None else key.namespace,
            name=request.name if key is None else key.name,
            uid=case.uid,
            resource_version=case.resource_version,
        ),
        verdict=judgement.verdict,
        outcome=Outcome.ATTEMPTED,
        operation=request.operation,
        subresource=request.sub_resource,
        user=user.username,
        groups=user.groups or (),
        extra=user.extra or {},
        field_manager="" if request.options is None else request.options.field_manager,
        request_uid=request.uid,
        dry_run=bool(request.dry_run),
        changes=tuple(_change(finding) for finding in judgement.findings),
        reason=judgement.reason,
        message=text,
    )


def _change(finding: decision.Finding) -> records.FieldChange:
    return records.FieldChange(
        path=finding.path,
        kind=finding.kind,
        old=_plain(finding.old),
        new=_plain(finding.new),
        source=_plain(finding.source) if finding.is_known else records.ABSENT,
    )


def _plain(value: Any) -> Any:
    return records.ABSENT if value is values.MISSING else value
