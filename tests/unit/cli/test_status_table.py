"""`holdfast status`: one word and one line for each Guard."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from guard.cli import status

GOLDEN = Path(__file__).parents[2] / "data" / "cli"
NOW = dt.datetime(2026, 1, 31, 12, 0, 0, tzinfo=dt.UTC)


def condition(kind: str, value: str, reason: str, message: str = "") -> dict[str, str]:
    """Give one condition."""
    return {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-31T08:00:00Z",
    }


READY = condition("Ready", "True", "Synced")


def guard(
    name: str = "shop-prod", *conditions: dict[str, str], generation: int = 1, **changes: Any
) -> dict[str, Any]:
    """Give a Guard of twelve days with these conditions; ``changes`` go into its status."""
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "generation": generation,
            "creationTimestamp": "2026-01-19T12:00:00Z",
        },
        "spec": {"source": {"git": {"url": "https://bot:pw@git.example/shop.git"}}},
        "status": {
            "conditions": list(conditions),
            "observedGeneration": 1,
            "observedRevision": "main@3f2c1d9",
            "appliedRevision": "main@3f2c1d9",
            "objects": 14,
            "synced": 14,
            "drifted": 0,
            "failed": 0,
            "orphaned": 0,
            "restored": 3,
            **changes,
        },
    }


FAULT = condition("Ready", "False", "RenderFailed", "web.yaml:3: no\nmapping \x1b[31m")
MANY = [
    guard("shop-prod", READY),
    guard("shop-drifted", READY, condition("Drifted", "True", "Drifted", "web differs"), drifted=2),
    guard("shop-broken", FAULT, failed=1),
    {"metadata": {"namespace": "shop", "name": "shop-new"}, "spec": {}},
]
COUNTS = {"shop/shop-prod": {"Restored": 3, "Denied": 7, "Flagged": 1}}


@pytest.mark.parametrize(
    ("raw", "state", "in_sync"),
    [
        (guard("a", READY), "Synced", True),
        (guard("a"), "Starting", False),
        (guard("a", condition("Ready", "Unknown", "Starting")), "Starting", False),
        (guard("a", READY, condition("Reconciling", "True", "Applying")), "Reconciling", True),
        (guard("a", READY, generation=2), "Reconciling", True),
        (guard("a", READY, condition("Drifted", "True", "Drifted")), "Drifted", False),
        (guard("a", condition("Ready", "False", "SourceUnreachable")), "SourceUnreachable", False),
        (
            guard(
                "a",
                condition("Ready", "False", "ApplyFailed"),
                condition("Reconciling", "True", "Applying"),
                condition("Drifted", "True", "Drifted"),
            ),
            "ApplyFailed",
            False,
        ),
        (guard("a", READY, orphaned=1), "Synced", False),
        (guard("a", READY, failed=1), "Synced", False),
    ],
)
def test_the_state_is_one_word_and_says_what_is_wrong_first(
    raw: dict[str, Any], state: str, *, in_sync: bool
) -> None:
    """A fault outranks what is under way, and that outranks drift; in sync means all is."""
    standing = status.standing(raw, None, now=NOW)

    assert (state, in_sync) == (standing.state, standing.in_sync)


def test_a_guard_that_is_going_says_so() -> None:
    """A Guard with a deletion timestamp is Deleting."""
    raw = guard("a", READY)
    raw["metadata"]["deletionTimestamp"] = "2026-01-31T11:00:00Z"

    assert status.state_of(raw) == "Deleting"


@pytest.mark.parametrize("form", ["table", "wide"])
def test_the_table_reads_like_this(form: str) -> None:
    """The table is as the file shows it: counts, then a line for each thing that is wrong."""
    guards = [status.standing(raw, COUNTS, now=NOW) for raw in MANY]

    text = status.rendered(guards, wide=form == "wide", colour=False)

    assert (GOLDEN / f"status-{form}.txt").read_text() == text


def test_counts_that_nobody_can_read_are_a_dash() -> None:
    """Without an audit store there is no count: neither 0 nor a guess."""
    row = status.rendered(
        [status.standing(MANY[0], None, now=NOW)], wide=False, colour=False
    ).splitlines()[1]

    assert row.split() == ["shop/shop-prod", "main@3f2c1d9", "Synced", "14", "0", "-", "-", "12d"]


def test_a_password_in_the_url_is_never_shown() -> None:
    """The source is shown without the credentials that its URL may hold, in every form."""
    guards = [status.standing(MANY[0], COUNTS, now=NOW)]

    assert guards[0].source == "https://git.example/shop.git#."
    assert "pw" not in str(status.document(guards))


def test_colour_says_how_it_stands() -> None:
    """On a terminal what is in order is green, drift yellow, a fault red."""
    guards = [status.standing(raw, COUNTS, now=NOW) for raw in MANY]

    text = status.rendered(guards, wide=False, colour=True)

    assert "\x1b[32mSynced" in text
    assert "\x1b[33mDrifted" in text
    assert "\x1b[31mRenderFailed" in text


def test_the_document_says_null_for_what_is_not_known() -> None:
    """Programs get null where the table has a dash."""
    (found,) = status.document([status.standing(MANY[3], None, now=NOW)])

    assert found["objects"] is None
    assert found["denied24h"] is None
    assert found["appliedRevision"] is None
    assert found["state"] == "Starting"
