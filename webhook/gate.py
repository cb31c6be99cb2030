"""From the bytes of a review to the bytes of its answer: judged, recorded, counted, worded.

Nothing here waits: the record is written to the spool, and with that the answer may leave.
"""

import dataclasses
import time
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from guard import errors as root_errors
from guard.api import objects, probes
from guard.api.verdicts import Verdict
from guard.audit import record as records
from guard.policy import decision
from webhook import errors, judge, message, metrics, recording, review

REASON_FAULT: Final = "not judged: a fault in the webhook"

_log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """The bytes of an answer. ``ends`` asks to close the connection: the next goes elsewhere."""

    body: bytes
    ends: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Replica:
    """This process among its like: its ``name`` in refused probes, and whether it judges yet."""

    name: str
    is_ready: Callable[[], bool]


class Gate:
    """Answers reviews; a probe only once this ``replica`` judges.

    ``write`` must not lose a record: it is the spool's append. ``now_ns`` is wall time in
    nanoseconds since the epoch, ``entropy`` gives that many random bytes, ``clock`` is monotonic in
    seconds.
    """

    def __init__(
        self,
        judge_: judge.Judge,
        *,
        installation: str,
        write: Callable[[records.Record], None],
        metrics_: metrics.Metrics,
        now_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
        replica: Replica,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._judge = judge_
        self._replica = replica
        self._installation = installation
        self._write = write
        self._metrics = metrics_
        self._now_ns = now_ns
        self._entropy = entropy
        self._clock = clock

    def answer(self, body: bytes) -> Answer:
        """Answer one AdmissionReview. Raises ReviewError, and nothing else, for what is none."""
        started = self._clock()
        request = review.decode(body)
        try:
            nonce = _probe(request)
            if nonce and self._replica.is_ready():
                # Nobody's act: it is not recorded, and who asks does not matter.
                denial = probes.denial(nonce, self._replica.name)
                return Answer(review.answer(request.uid, denial=denial), ends=True)
            case = self._judge.judge(request)
            text = self._answer(request, case)
        except errors.ReviewError:
            raise
        except Exception as error:  # noqa: BLE001 - see _log_fault: what cannot be judged is allowed
            _log_fault(request, error)
            case = judge.Case(judgement=decision.unjudged(REASON_FAULT))
            text = self._answer(request, case)
        self._metrics.review(
            request.operation,
            case.judgement.verdict,
            mode=None if case.policy is None else case.policy.mode,
            is_dry_run=bool(request.dry_run),
            duration_seconds=self._clock() - started,
        )
        return Answer(text)

    def _answer(self, request: review.Request, case: judge.Case) -> bytes:
        judgement = case.judgement
        if not judgement.is_recorded:
            return review.answer(request.uid)
        if judgement.is_unjudged:
            self._metrics.unjudged()
        denial, warnings = _words(request, case)
        record = recording.record_of(
            request,
            case,
            installation=self._installation,
            now_ns=self._now_ns(),
            entropy=self._entropy,
        )
        self._record(record)
        return review.answer(
            request.uid,
            denial=denial,
            warnings=warnings,
            annotations={"verdict": judgement.verdict, "record": record.id},
        )

    def _record(self, record: records.Record) -> None:
        try:
            self._write(record)
        except root_errors.HoldfastError as error:
            # A full disk neither opens the gate nor closes it for what would have passed.
            self._metrics.unrecorded()
            _log.error(
                "an audit record could not be written",
                error=str(error),
                verdict=record.verdict,
                object=record.object.title,
                user=record.user,
            )
            return
        _log.info(
            "review judged",
            verdict=record.verdict,
            reason=record.reason,
            object=record.object.title,
            guard=record.guard,
            user=record.user,
            operation=record.operation,
            subresource=record.subresource,
            dry_run=record.dry_run,
            record=record.id,
        )


def _probe(request: review.Request) -> str:
    """Give the number of a probe: a dry run that never could be stored; empty for all else."""
    if not request.dry_run or request.operation != "UPDATE":
        return ""
    _, new = request.both()
    labels = objects.metadata_of(new).get("labels") if new is not None else None
    nonce = labels.get(probes.LABEL) if isinstance(labels, dict) else None
    return nonce if isinstance(nonce, str) else ""


def _words(request: review.Request, case: judge.Case) -> tuple[str | None, tuple[str, ...]]:
    """Give the text of a denial, and the warnings."""
    judgement, key, policy = case.judgement, case.key, case.policy
    if key is None or policy is None:
        return None, ()
    origin = message.Origin(
        guard=policy.name,
        url=policy.url,
        revision=policy.short_revision,
        file=case.file,
        interval=policy.interval,
        interval_seconds=policy.interval_seconds,
        restores=policy.restores,
    )
    findings, operation = judgement.findings, request.operation
    match judgement.verdict:
        case Verdict.DENIED:
            return message.denial(key, origin, findings, operation=operation), ()
        case Verdict.FLAGGED:
            return None, message.warnings(key, origin, findings, operation=operation)
        case _:
            return None, ()


def _log_fault(request: review.Request, error: Exception) -> None:
    """Log a fault of our own with its traceback, but without its text, which may quote a value.

    This is the one boundary where everything is caught: an answer must go out, and what cannot be
    judged is allowed and recorded.
    """
    _log.error(
        "a review could not be judged",
        error=type(error).__name__,
        traceback="".join(traceback.format_tb(error.__traceback__)),
        request=request.uid,
        operation=request.operation,
        kind=request.kind.kind,
        namespace=request.namespace,
        name=request.name,
    )
