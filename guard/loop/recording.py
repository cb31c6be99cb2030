"""What the loop tells the audit log about a drift. Pure: time, randomness and the mask come in."""

import dataclasses

from guard.api import keys, verdicts
from guard.audit import record as records
from guard.fields import paths, values
from guard.loop import drift, plan
from guard.loop import tools as tools_


@dataclasses.dataclass(frozen=True, slots=True)
class Recorder:
    """Makes the records of one Guard's loop and hands them to the spool.

    ``tools`` brings time, randomness, the mask, and ``write_record``.
    """

    owner: plan.Owner
    tools: tools_.Tools

    def drifted(
        self,
        guarded: drift.Guarded,
        found: drift.Drift,
        *,
        verdict: verdicts.Verdict,
        outcome: verdicts.Outcome,
        revision: str,
        message: str = "",
        duration_ms: float | None = None,
    ) -> None:
        """Record one drift and what was done about it.

        In its changes ``old`` is what stood there before (the expected value), ``new`` what was
        found, ``source`` what the source says; values of secrets are masked here.
        """
        now_ns = self.tools.now_ns()
        key = guarded.key
        self.tools.write_record(
            records.Record(
                id=records.new_id(now_ns, self.tools.entropy(8)),
                time=records.timestamp(now_ns),
                installation=self.owner.installation,
                guard=str(self.owner),
                revision=revision,
                file=guarded.desired.file,
                object=records.ObjectRef(
                    group=key.group,
                    version=guarded.desired.gvk.version,
                    kind=key.kind,
                    namespace=key.namespace,
                    name=key.name,
                    uid=guarded.uid,
                    resource_version=guarded.resource_version,
                ),
                verdict=verdict,
                outcome=outcome,
                operation="DELETE" if found.missing else "UPDATE",
                field_manager=found.manager,
                changes=self.field_changes(key, found),
                reason=attribution(found),
                message=message,
                duration_ms=duration_ms,
            )
        )

    def field_changes(
        self, key: keys.ObjectKey, found: drift.Drift
    ) -> tuple[records.FieldChange, ...]:
        """Mask the changes and put them into the record's form; a missing object is one change."""
        if found.missing:
            return (records.FieldChange(path="", kind=verdicts.ChangeKind.MISSING),)
        return tuple(
            records.FieldChange(
                path=paths.readable(change.path),
                kind=change.kind,
                old=_plain(change.old),
                new=_plain(change.new),
                source=_plain(change.old),
            )
            for change in self.tools.masker.changes(key, found.changes)
        )


def attribution(found: drift.Drift) -> str:
    """Say who did it as far as the watch can know; it never guesses a user."""
    if found.missing or not found.manager:
        return "unknown user"
    return f"unknown user, manager {found.manager} at {found.time}"


def _plain(value: object) -> object:
    return records.ABSENT if value is values.MISSING else value
