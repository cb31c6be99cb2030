"""What the loop notes of one object: for the status, for the log, for the audit log."""

from typing import Final, Protocol

import orjson
import structlog

from guard import errors as root_errors
from guard.api import verdicts
from guard.audit import errors as audit_errors
from guard.inventory import entries
from guard.loop import drift, errors, plan, recording
from guard.loop import tools as tools_

_LOG: Final = structlog.get_logger(__name__)


class Journal(Protocol):
    """Who writes down how the objects fare."""

    def state_changed(self) -> None:
        """The state of an object changed."""

    def inventory_changed(self) -> None:
        """What the inventory records of an object changed."""


class Notes:
    """Notes how the objects of one Guard fare. ``revision`` is the one that is desired now."""

    def __init__(
        self,
        *,
        owner: plan.Owner,
        recorder: recording.Recorder,
        journal: Journal,
        tools: tools_.Tools,
    ) -> None:
        self.revision = ""
        self._owner = owner
        self._recorder = recorder
        self._journal = journal
        self._tools = tools

    def note(self, guarded: drift.Guarded, state: entries.State, message: str) -> None:
        """Note a state, and a sentence for people."""
        guarded.state = state
        guarded.message = message
        guarded.since = guarded.since or self._tools.now_text()
        self._journal.state_changed()

    def failed(self, guarded: drift.Guarded, error: root_errors.HoldfastError) -> None:
        """Note that the object could not be brought to its desired state."""
        guarded.failures += 1
        guarded.fault = type(error).__name__
        state = entries.State.DRIFTED if guarded.is_applied else entries.State.FAILED
        self.note(guarded, state, self.sentence(guarded, error))
        _LOG.warning(
            "an object could not be brought to its desired state",
            guard=str(self._owner),
            object=guarded.key.title,
            file=f"{guarded.desired.file}:{guarded.desired.line}",
            error=guarded.message,
            failures=guarded.failures,
        )

    def sentence(self, guarded: drift.Guarded, error: root_errors.HoldfastError) -> str:
        """Name object, file and line, and cut out what the API server may quote of a secret."""
        desired = guarded.desired
        told = self._tools.masker.redact(str(error), body=orjson.loads(desired.sent))
        if isinstance(error, errors.ObjectRefused):
            return told
        return f"{desired.key.title} ({desired.file}:{desired.line}): {told}"

    def record_failure(
        self, guarded: drift.Guarded, found: drift.Drift, error: root_errors.HoldfastError
    ) -> None:
        """Record that a drift could not be restored; the same failure again is no news."""
        told = (found, self.sentence(guarded, error))
        if told == guarded.told:
            return
        guarded.told = told
        self.record(
            guarded,
            found,
            verdicts.Verdict.RESTORED,
            verdicts.Outcome.FAILED,
            message=told[1],
        )

    def record(
        self,
        guarded: drift.Guarded,
        found: drift.Drift,
        verdict: verdicts.Verdict,
        outcome: verdicts.Outcome,
        *,
        message: str = "",
        duration_ms: float | None = None,
    ) -> None:
        """Record a drift and what was done about it."""
        try:
            self._recorder.drifted(
                guarded,
                found,
                verdict=verdict,
                outcome=outcome,
                revision=self.revision,
                message=message,
                duration_ms=duration_ms,
            )
        except audit_errors.AuditError as error:
            # A full disk must not stop the restoring; the spool says so in its own metric.
            _LOG.error("a record could not be written", guard=str(self._owner), error=str(error))
