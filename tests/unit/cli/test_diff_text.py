"""`holdfast diff`: expected and live, field by field."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from guard.api import keys
from guard.cli import diff

GOLDEN = Path(__file__).parents[2] / "data" / "cli"
NOW = dt.datetime(2026, 1, 31, 12, 0, 0, tzinfo=dt.UTC)

CONTAINER = {
    "name": "sidecar",
    "image": "registry.example/sidecar:2.1",
    "imagePullPolicy": "IfNotPresent",
}
LINES = "".join(f"line {number}\n" for number in range(1, 9))


def field(path: str, kind: str, **sides: Any) -> dict[str, Any]:
    """Give one field as a report has it: sides are JSON texts."""
    return {"path": path, "kind": kind, **{side: json.dumps(v) for side, v in sides.items()}}


def drift(kind: str, name: str, *fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Give one drift as a report has it."""
    return {
        "object": {"group": "", "version": "v1", "kind": kind, "namespace": "shop", "name": name},
        "state": "Drifted",
        "since": "2026-01-31T11:30:00Z",
        "file": f"apps/{name}.yaml",
        "message": "",
        "fields": list(fields),
        **changes,
    }


REPORT = {
    "metadata": {"namespace": "shop", "name": "shop-prod"},
    "spec": {
        "guard": "shop-prod",
        "revision": "main@3f2c1d9",
        "truncated": True,
        "drifts": [
            drift(
                "Deployment",
                "web",
                field("spec.replicas", "changed", expected=3, live=5),
                field(
                    "spec.template.spec.containers[name=app].image",
                    "changed",
                    expected="registry.example/web:1.2",
                    live="registry.example/web:evil",
                ),
                field("spec.template.spec.containers[name=sidecar]", "removed", expected=CONTAINER),
                field('metadata.labels["example.org/team"]', "extra", live="8"),
            ),
            drift(
                "ConfigMap",
                "conf",
                field(
                    "data.text",
                    "changed",
                    expected=LINES,
                    live=LINES.replace("line 4", "line four \x1b[2J"),
                ),
                field("data.level", "changed", expected="info", live=""),
            ),
            drift(
                "Secret",
                "db",
                field("data.password", "changed", expected="hash:0a1b2c", live="hash:3d4e5f"),
            ),
            drift(
                "Namespace",
                "extra",
                object={"version": "v1", "kind": "Namespace", "name": "extra"},
                state="Orphaned",
                message="the source names it no more;\nit is not deleted",
            ),
        ],
    },
}


def test_differences_read_like_this() -> None:
    """The text is as the file shows it: a head for each object, and both sides of each field."""
    text = diff.rendered([diff.report(REPORT)], now=NOW, colour=False)

    assert (GOLDEN / "diff.txt").read_text() == text


def test_nothing_different_is_no_text() -> None:
    """Where nothing differs nothing is written."""
    raw = {**REPORT, "spec": {**REPORT["spec"], "drifts": [], "truncated": False}}

    assert diff.rendered([diff.report(raw)], now=NOW, colour=False) == ""


def test_a_value_that_was_cut_is_shown_as_far_as_it_goes() -> None:
    """A report cuts long values, which makes them no JSON: the text is shown, cut again."""
    cut = '"' + "x" * 4094 + "…"
    raw_drift = drift("ConfigMap", "conf")
    raw_drift["fields"] = [{"path": "data.x", "kind": "changed", "expected": cut, "live": '"y"'}]
    raw = {**REPORT, "spec": {**REPORT["spec"], "drifts": [raw_drift]}}

    lines = diff.rendered([diff.report(raw)], now=NOW, colour=False).splitlines()

    assert lines[2].startswith("    - ")
    assert len(lines[2]) < 210
    assert lines[3] == "    + y"


def test_colours_mark_both_sides() -> None:
    """On a terminal the expected side is red and the live one green, as in every diff."""
    text = diff.rendered([diff.report(REPORT)], now=NOW, colour=True)

    assert "\x1b[31m    - 3\x1b[0m" in text
    assert "\x1b[32m    + 5\x1b[0m" in text


def test_the_document_has_json_values_and_leaves_out_what_is_not_there() -> None:
    """Programs get values, not texts of them, and no side where there is no value."""
    first, *_ = diff.document([diff.report(REPORT)])

    replicas, _, sidecar, _ = first["fields"]
    assert replicas == {"path": "spec.replicas", "kind": "changed", "expected": 3, "live": 5}
    assert sidecar["expected"] == CONTAINER
    assert "live" not in sidecar
    assert first["guard"] == "shop/shop-prod"


@pytest.mark.parametrize(("namespace", "number"), [("shop", 1), ("elsewhere", 0)])
def test_a_report_can_be_cut_down_to_one_object(namespace: str, number: int) -> None:
    """An object is meant by group, kind, namespace and name, all of them."""
    reports = diff.of_object(
        [diff.report(REPORT)], keys.ObjectKey("", "ConfigMap", namespace, "conf")
    )

    assert number == sum(len(one.differences) for one in reports)
