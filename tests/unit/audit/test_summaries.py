"""The WHAT column."""

from collections.abc import Callable
from typing import Any

import pytest

from guard.audit import record, summary

MakeRecord = Callable[..., record.Record]


def _change(path: str, kind: str = "changed", **values: Any) -> record.FieldChange:
    return record.FieldChange(path=path, kind=kind, **values)


REPLICAS = _change("spec.replicas", old=3, new=5, source=3)
LEVEL = _change("data.level", old="info", new="debug", source="info")
COMMITTED = {"verdict": "Restored", "outcome": "committed", "duration_ms": 2.9}

CASES: list[tuple[dict[str, Any], str]] = [
    ({"changes": (REPLICAS,)}, "spec.replicas 3 -> 5"),
    ({"changes": (REPLICAS,), "dry_run": True}, "spec.replicas 3 -> 5 (dry run)"),
    ({"changes": (REPLICAS, LEVEL)}, "spec.replicas 3 -> 5, data.level info -> debug"),
    (
        {"changes": (REPLICAS, LEVEL, LEVEL, LEVEL)},
        "spec.replicas 3 -> 5, data.level info -> debug, +2 more",
    ),
    ({"changes": (LEVEL,), **COMMITTED}, "data.level info -> debug, back to info in 3 ms"),
    (
        {"changes": (REPLICAS, LEVEL), **COMMITTED},
        "spec.replicas 3 -> 5, data.level info -> debug, all back in 3 ms",
    ),
    ({"changes": (LEVEL,), **COMMITTED, "duration_ms": None},
     "data.level info -> debug, back to info"),
    ({"changes": (LEVEL,), **COMMITTED, "duration_ms": 0.2},
     "data.level info -> debug, back to info in <1 ms"),
    ({"changes": (LEVEL,), **COMMITTED, "duration_ms": 12_345.0},
     "data.level info -> debug, back to info in 12 s"),
    ({"changes": (LEVEL,), "verdict": "Restored"}, "data.level info -> debug"),
    (
        {"changes": (LEVEL,), "verdict": "Restored", "outcome": "failed", "message": "no quota"},
        "data.level info -> debug, not put back: no quota",
    ),
    ({"changes": (_change("", "missing"),), **COMMITTED}, "deleted, created again in 3 ms"),
    ({"changes": (_change("data.a", "removed", old="x", source="x"),), **COMMITTED},
     "data.a removed (was x), back to x in 3 ms"),
    ({"changes": (_change("data.a", "removed", old="x"),)}, "data.a removed (was x)"),
    ({"changes": (_change("data.a", "extra", new="x"),)}, "data.a added x"),
    ({"changes": (_change("metadata.finalizers", "tampered"),)}, "metadata.finalizers tampered"),
    ({"changes": (_change("data.a", "mutated", old="x", new="y"),)},
     "data.a x -> y by another webhook"),
    ({"operation": "DELETE"}, "deleted"),
    ({"operation": "DELETE", **COMMITTED}, "deleted, created again in 3 ms"),
    ({"operation": "CREATE"}, "created"),
    ({"operation": "UPDATE"}, "updated"),
    ({"operation": "UPDATE", "subresource": "status"}, "updated status"),
    ({"message": "two writers fight over it"}, "two writers fight over it"),
    ({"reason": "no rule"}, "no rule"),
    ({}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), CASES, ids=[case[1] or "-" for case in CASES])
def test_a_record_is_told_in_one_line(
    make_record: MakeRecord, fields: dict[str, Any], expected: str
) -> None:
    """What was changed, and for a restore how it ended."""
    assert summary.of(make_record(**fields)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("nginx:1.27", "nginx:1.27"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a,b", '"a,b"'),
        ("it's", '"it\'s"'),
        ("3", '"3"'),
        (3, "3"),
        (True, "true"),
        ("true", '"true"'),
        ("1.27", '"1.27"'),
        ("v1.27", "v1.27"),
        (None, "null"),
        ({"a": [1]}, '{"a":[1]}'),
        (record.ABSENT, "(none)"),
        ("x" * 60, "x" * 47 + "…"),
        ("line\nbreak", '"line\\nbreak"'),
        ("red\x1b[31m", "\\u001b"),
        ("\u202egnp.exe", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_values_are_shown_short_and_harmless(value: Any, expected: str) -> None:
    """Nothing that an edited value holds reaches the terminal as a control."""
    shown = summary.value(value)

    assert expected in shown
    assert shown.isprintable()
    assert len(shown) < 500


@pytest.mark.parametrize("field", ["message", "reason", "subresource"])
def test_no_field_can_steer_the_terminal(make_record: MakeRecord, field: str) -> None:
    """Texts quote what callers chose."""
    operation = "UPDATE" if field == "subresource" else ""
    text = summary.of(make_record(**{field: "\x1b]0;owned\x07\r\n" * 100}, operation=operation))

    assert "owned" in text
    assert text.isprintable()


def test_a_path_cannot_steer_the_terminal_either(make_record: MakeRecord) -> None:
    """Keys of a ConfigMap and of annotations are in it."""
    text = summary.of(make_record(changes=(_change('data["\x1b[2J' + "x" * 1000, old=1, new=2),)))

    assert text.isprintable()
    assert text.endswith(" 1 -> 2")
