"""Which objects are unlocked, since when, and until when."""

import datetime as dt
from typing import Any

import pytest

from guard.cluster import switch, unlocking

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def role(reason: str | None, *, booked: str | None = "2026-01-31T12:00:00Z") -> dict[str, Any]:
    """Give a role with that annotation, booked at that time."""
    fields = {"f:metadata": {"f:annotations": {f"f:{unlocking.ANNOTATION}": {}}}}
    return {
        "metadata": {
            "name": "holdfast-off",
            "uid": "1",
            "resourceVersion": "7",
            "annotations": {} if reason is None else {unlocking.ANNOTATION: reason},
            "managedFields": [
                {"manager": "helm", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:rules": {}}},
                {"manager": "kubectl-annotate", "time": booked, "fieldsV1": fields},
            ],
        }
    }


def test_an_unlock_is_found_with_its_reason_and_its_hand() -> None:
    """From the annotation and from managed fields."""
    found = unlocking.find(role("INC-42"), switch.CLUSTER_ROLES)

    assert found is not None
    assert (found.reason, found.manager, found.since) == ("INC-42", "kubectl-annotate", NOON)


@pytest.mark.parametrize("reason", [None, ""])
def test_without_a_reason_there_is_none(reason: str | None) -> None:
    """As in the policy."""
    assert unlocking.find(role(reason), switch.CLUSTER_ROLES) is None


@pytest.mark.parametrize(
    ("booked", "seen_minutes", "now_minutes", "is_overdue"),
    [
        ("2026-01-31T12:00:00Z", 0, 14, False),
        ("2026-01-31T12:00:00Z", 0, 15, True),
        ("2026-01-31T12:00:00Z", 14, 15, True),  # seen after a restart
        ("2036-01-31T12:00:00Z", 0, 15, True),  # forged
        ("2026-01-31T12:14:00Z", 0, 15, True),  # moved by another change of the same manager
        (None, 5, 19, False),
        (None, 5, 20, True),
        ("no time", 5, 20, True),
    ],
)
def test_the_earlier_of_two_times_counts(
    booked: str | None, seen_minutes: int, now_minutes: int, *, is_overdue: bool
) -> None:
    """The one in managed fields, which can be forged, and the one of our own clock."""
    found = unlocking.find(role("INC-42", booked=booked), switch.CLUSTER_ROLES)
    assert found is not None

    seen, now = (NOON + dt.timedelta(minutes=minutes) for minutes in (seen_minutes, now_minutes))
    assert unlocking.is_overdue(found, seen=seen, now=now) is is_overdue
