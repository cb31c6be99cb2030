"""The closed vocabulary of what Holdfast decided. Code, messages, records and metrics use it."""

import enum


class Verdict(enum.StrEnum):
    """What was decided about one act or one drift."""

    # At admission.
    ALLOWED = "Allowed"
    DENIED = "Denied"
    REVERTED = "Reverted"
    FLAGGED = "Flagged"
    EXEMPTED = "Exempted"
    # In the loop.
    RESTORED = "Restored"
    REPORTED = "Reported"
    QUARANTINED = "Quarantined"
    PRUNED = "Pruned"
    REFUSED = "Refused"


class Outcome(enum.StrEnum):
    """What became of it: a verdict is an attempt until the server has answered."""

    ATTEMPTED = "attempted"
    COMMITTED = "committed"
    FAILED = "failed"


class Mode(enum.StrEnum):
    """What admission does with a change of a declared field (``spec.admission.mode``)."""

    DENY = "Deny"
    FLAG = "Flag"
    AUDIT = "Audit"


class ChangeKind(enum.StrEnum):
    """How a field differs from what is expected."""

    CHANGED = "changed"
    REMOVED = "removed"
    EXTRA = "extra"
    MISSING = "missing"
    TAMPERED = "tampered"
    MUTATED = "mutated"
