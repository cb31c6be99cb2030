"""Metrics of the admission server. No label has more than a handful of values: no object names."""

import functools
from collections.abc import Callable, Mapping
from typing import Final

import prometheus_client as prometheus

from guard.api.verdicts import Mode, Verdict

CONTENT_TYPE: Final = prometheus.CONTENT_TYPE_LATEST

_OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})

# Few: each costs time whenever the metrics are read, on the loop that answers reviews.
_BUCKETS_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._reviews = prometheus.Counter(
            "holdfast_webhook_reviews",
            "Admission reviews that were answered.",
            ("operation", "verdict", "mode", "dry_run"),
            registry=self.registry,
        )
        self._duration = prometheus.Histogram(
            "holdfast_webhook_review_duration_seconds",
            "From the whole body to the answer.",
            buckets=_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._unjudged = prometheus.Counter(
            "holdfast_webhook_unjudged",
            "Reviews of guarded objects that were allowed because they could not be judged.",
            registry=self.registry,
        )
        self._unrecorded = prometheus.Counter(
            "holdfast_webhook_unrecorded",
            "Audit records that could not be written to the spool.",
            registry=self.registry,
        )
        self._refused = prometheus.Counter(
            "holdfast_webhook_refused_requests",
            "Requests that were no review, by HTTP status.",
            ("status",),
            registry=self.registry,
        )
        self._age = prometheus.Gauge(
            "holdfast_webhook_cache_age_seconds",
            "Since the last sign of life of the watch that fills a cache; -1 before the first.",
            ("cache",),
            registry=self.registry,
        )
        self._children: dict[tuple[str, Verdict, Mode | None, bool], prometheus.Counter] = {}

    def review(
        self,
        operation: str,
        verdict: Verdict,
        *,
        mode: Mode | None,
        is_dry_run: bool,
        duration_seconds: float,
    ) -> None:
        """Count one answered review. ``mode`` is None where no Guard was asked."""
        key = (operation if operation in _OPERATIONS else "other", verdict, mode, is_dry_run)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._reviews.labels(
                key[0], verdict, mode or "", str(is_dry_run).lower()
            )
        child.inc()
        self._duration.observe(duration_seconds)

    def unjudged(self) -> None:
        """Count a review that was let through unjudged."""
        self._unjudged.inc()

    def unrecorded(self) -> None:
        """Count a record that was lost before it was written."""
        self._unrecorded.inc()

    def refused(self, status: int) -> None:
        """Count a request that was no review."""
        self._refused.labels(str(status)).inc()

    def watch_ages(self, ages: Mapping[str, Callable[[], float | None]]) -> None:
        """Show the age of caches in seconds, asked for whenever the metrics are read."""
        for cache, age in ages.items():
            self._age.labels(cache).set_function(functools.partial(_or_never, age))

    def exposition(self) -> bytes:
        """Give the text that Prometheus reads."""
        return prometheus.generate_latest(self.registry)


def _or_never(age: Callable[[], float | None]) -> float:
    age_seconds = age()
    return -1.0 if age_seconds is None else age_seconds
