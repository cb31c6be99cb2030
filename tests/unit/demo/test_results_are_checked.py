"""The demo fails where a program does something else than the demo says."""

import datetime as dt
import shlex
import subprocess

import pytest
import staging


def result(status: int, text: str = "") -> subprocess.CompletedProcess[str]:
    """Give the result of a line of shell."""
    return subprocess.CompletedProcess(["sh", "-c", "kubectl edit"], status, text)


@pytest.mark.parametrize(
    ("found", "promised", "fault"),
    [
        (result(0), {"status": 0}, ""),
        (result(1, "denied"), {"status": 1, "shows": ["denied"], "hides": ["secret"]}, ""),
        (result(0), {"status": 1}, "should end with status 1, and ended with 0"),
        (result(1), {"status": 0}, "should end with status 0, and ended with 1"),
        (result(0, "x"), {"status": 0, "shows": ["x", "y"]}, "should say 'y', and does not"),
        (result(0, "x"), {"status": 0, "hides": ["x"]}, "should not say 'x', and does"),
    ],
)
def test_status_and_answer_are_compared_with_what_was_promised(found, promised, fault):
    """Expect a sentence that names the command, and none where all is right."""
    said = staging.fault_of(found, **promised)

    assert fault in said
    assert bool(said) == bool(fault)
    assert not said or said.count("`kubectl edit`") == 1


COMMIT = "3f2c1d9a0b8e7c6d5f4a3b2c1d0e9f8a7b6c5d4e"


def guard(**status: object) -> dict[str, object]:
    """Give a Guard whose status is all right but for what is given."""
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Drifted", "status": "False"}]
    whole = {
        "observedGeneration": 2,
        "appliedRevision": "main@3f2c1d9",
        "conditions": conditions,
        **status,
    }
    return {"metadata": {"generation": 2}, "status": whole}


def test_a_guard_is_synced_when_it_is_ready_undrifted_and_at_the_commit():
    """Expect yes for a Guard in order."""
    assert staging.is_synced(guard(), COMMIT)


@pytest.mark.parametrize(
    "other",
    [
        {"observedGeneration": 1},
        {"appliedRevision": "main@0000000"},
        {"appliedRevision": ""},
        {"conditions": []},
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "Drifted", "status": "True"},
            ]
        },
    ],
)
def test_a_guard_is_not_synced_while_anything_is_missing(other):
    """Expect no for an older spec, another commit, drift, or a status not written yet."""
    assert not staging.is_synced(guard(**other), COMMIT)


def test_a_guard_without_a_status_is_not_synced():
    """Expect no right after its creation."""
    assert not staging.is_synced({"metadata": {"generation": 1}}, COMMIT)


def test_drift_is_what_a_report_holds():
    """Expect the names of the Guards whose report is not empty."""
    reports = [
        {"metadata": {"name": "a"}, "spec": {"drifts": [{}]}},
        {"metadata": {"name": "b"}, "spec": {"drifts": []}},
        {"metadata": {"name": "c"}, "spec": {}},
    ]

    assert staging.drifted_of(reports) == {"a"}


def test_a_moment_is_typed_in_utc():
    """Expect RFC 3339 with a Z, from any zone."""
    moment = dt.datetime(2026, 1, 31, 10, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    assert staging.typed(moment) == "2026-01-31T08:00:00.000000Z"


def test_exports_survive_the_shell():
    """Expect a shell that reads the lines to have the very values."""
    value = 'it\'s $HOME "quoted"\n'

    lines = staging.exports({"A": value, "B": "plain", "C": "not asked for"}, ["A", "B"])

    script = f'{lines}printf %s "$A-$B-$C"'
    printed = subprocess.run(
        ["sh", "-c", script], env={"C": ""}, capture_output=True, text=True, check=True
    )
    assert printed.stdout == f"{value}-plain-"
    assert shlex.quote(value) in lines


def test_a_secret_is_known_in_both_its_spellings():
    """Expect the plain text, and the base64 that kubectl shows."""
    assert staging.spellings("pass") == ("pass", "cGFzcw==")
