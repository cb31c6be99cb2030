"""`holdfast audit`: records as lines."""

import datetime as dt
from pathlib import Path

import pytest

from guard.api.verdicts import Outcome, Verdict
from guard.audit import record
from guard.cli import audit, kinds

GOLDEN = Path(__file__).parents[2] / "data" / "cli"
ZONE = dt.timezone(dt.timedelta(hours=1))
NOW = dt.datetime(2026, 1, 31, 10, 0, 0, tzinfo=ZONE)


def change(path: str, old: object, new: object, source: object) -> record.FieldChange:
    """Give one changed field."""
    return record.FieldChange(path=path, kind="changed", old=old, new=new, source=source)


RECORDS = [
    record.Record(
        id="1",
        time="2026-01-31T08:12:04.000000Z",
        guard="shop/shop-prod",
        revision="main@3f2c1d9",
        object=record.ObjectRef(kind="Deployment", namespace="shop", name="web"),
        verdict=Verdict.DENIED,
        operation="UPDATE",
        user="alice",
        field_manager="kubectl-edit",
        reason="mode Deny",
        changes=(change("spec.replicas", 3, 5, 3),),
    ),
    record.Record(
        id="2",
        time="2026-01-31T08:14:40.000000Z",
        guard="shop/shop-prod",
        revision="main@3f2c1d9",
        object=record.ObjectRef(kind="ConfigMap", namespace="shop", name="conf"),
        verdict=Verdict.RESTORED,
        outcome=Outcome.COMMITTED,
        operation="UPDATE",
        field_manager="kubectl-edit",
        changes=(change("data.level", "info", "debug", "info"),),
        duration_ms=3.2,
    ),
    record.Record(
        id="3",
        time="2026-01-31T08:15:00.000000Z",
        guard="shop/shop-prod",
        object=record.ObjectRef(kind="ClusterRole", name="reader\x1b[2J"),
        verdict=Verdict.FLAGGED,
        operation="DELETE",
        user="ev\u202eil\n",
        dry_run=True,
    ),
]


@pytest.mark.parametrize("form", ["table", "wide"])
def test_the_list_reads_like_this(form: str) -> None:
    """The list is as the file shows it: local times, dry runs marked, an unknown user a dash."""
    text = audit.rendered(RECORDS, now=NOW, wide=form == "wide", colour=False)

    assert (GOLDEN / f"audit-{form}.txt").read_text() == text


def test_times_of_another_day_have_their_date() -> None:
    """As soon as one record is not of today, all times have their date."""
    tomorrow = NOW + dt.timedelta(days=1)

    text = audit.rendered(RECORDS, now=tomorrow, wide=False, colour=False)

    assert "2026-01-31 09:12:04  Denied" in text


def test_the_document_has_whole_records() -> None:
    """Programs get every field of the record, and no value where there was none."""
    first, _, last = audit.document(RECORDS)

    assert list(first["changes"]) == [
        {"path": "spec.replicas", "kind": "changed", "old": 3, "new": 5, "source": 3}
    ]
    assert first["fieldManager"] == "kubectl-edit"
    assert last["dryRun"] is True


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("", ""),
        ("web", "web"),
        ("deploy/web", "Deployment/web"),
        ("Deployments/web", "Deployment/web"),
        ("svc/web", "Service/web"),
        ("networkpolicies/x", "NetworkPolicy/x"),
        ("ingresses/x", "Ingress/x"),
        ("Gadget/x", "Gadget/x"),
    ],
)
def test_kinds_are_spelled_out_without_a_cluster(reference: str, expected: str) -> None:
    """Short names and plurals of built-in kinds are understood, whatever else stays."""
    assert expected == kinds.spelled_out(reference)
