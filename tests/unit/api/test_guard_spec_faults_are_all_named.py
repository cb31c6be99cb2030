"""What a person learns about a Guard that cannot be followed."""

import traceback
from typing import Any

import pytest
from support import guard_specs

from guard.api import errors, guards, verdicts


def faults_of(spec: Any) -> dict[str, str]:
    """Parse a spec that is refused and give the messages by path."""
    with pytest.raises(errors.InvalidGuard) as caught:
        guards.GuardSpec.parse(spec)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_what_is_left_out_has_its_default() -> None:
    """The smallest Guard that there is: HEAD, the whole repository, every 30 s, Deny, restore."""
    spec = guards.GuardSpec.parse(guard_specs.MINIMAL)

    assert spec.source.git.ref == "HEAD"
    assert spec.source.git.path == "."
    assert spec.source.git.interval_seconds == 30.0
    assert spec.target.namespace is None
    assert spec.admission.mode is verdicts.Mode.DENY
    assert spec.drift.restore is True


def test_what_is_given_is_kept() -> None:
    """Every field arrives where it belongs."""
    spec = guards.GuardSpec.parse(guard_specs.FULL)

    assert spec.source.git.url == "https://git.example/shop.git"
    assert spec.source.git.ref == "main"
    assert spec.source.git.path == "apps"
    assert spec.source.git.interval_seconds == 90.0
    assert spec.target.namespace == "shop"
    assert spec.admission.mode is verdicts.Mode.FLAG
    assert spec.drift.restore is False


@pytest.mark.parametrize(("path", "value"), guard_specs.ACCEPTED)
def test_a_right_value_is_accepted(path: str, value: Any) -> None:
    """The rules refuse nothing that Git or Kubernetes would take."""
    guards.GuardSpec.parse(guard_specs.with_field(path, value))


@pytest.mark.parametrize(("path", "value", "message"), guard_specs.REFUSED_BY_RULE)
def test_a_wrong_value_is_refused_with_what_it_must_be(path: str, value: str, message: str) -> None:
    """One fault, at its path, which says what would be right."""
    faults = faults_of(guard_specs.with_field(path, value))

    assert list(faults) == [f"spec.{path}"]
    assert faults[f"spec.{path}"].startswith(message)


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, {"spec.source": "is required"}),
        (None, {"spec": "must be an object, not null"}),
        ([], {"spec": "must be an object, not a list"}),
        ({"source": {}}, {"spec.source.git": "is required"}),
        ({"source": {"git": {}}}, {"spec.source.git.url": "is required"}),
        ({"source": "x"}, {"spec.source": "must be an object, not a string"}),
        (
            guard_specs.with_field("source.git.intervall", "1m"),
            {"spec.source.git.intervall": "is unknown; did you mean interval?"},
        ),
        (guard_specs.with_field("zzz", 1), {"spec.zzz": "is unknown"}),
        (
            guard_specs.with_field("admission.mode", "deny"),
            {"spec.admission.mode": "must be 'Deny', 'Flag' or 'Audit'"},
        ),
        (
            guard_specs.with_field("drift.restore", "yes"),
            {"spec.drift.restore": "must be true or false, not a string"},
        ),
        (
            guard_specs.with_field("source.git.ref", 12),
            {"spec.source.git.ref": "must be a string, not a number"},
        ),
        (
            {"source": {"git": {"url": "git@host:x", "ref": True}}},
            {"spec.source.git.ref": "must be a string, not true"},
        ),
        (
            {"source": {"git": {"url": "git@host:x", "ref": False}}},
            {"spec.source.git.ref": "must be a string, not false"},
        ),
        (
            guard_specs.with_field("source.git.path", ""),
            {"spec.source.git.path": "must not be empty"},
        ),
        (
            guard_specs.with_field("source.git.ref", "x" * 256),
            {"spec.source.git.ref": "must have at most 255 characters"},
        ),
        (
            guard_specs.with_field("target.namespace", "Shop"),
            {"spec.target.namespace": "must match ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"},
        ),
    ],
)
def test_a_wrong_shape_is_explained(spec: Any, faults: dict[str, str]) -> None:
    """Missing, unknown, of another type, too long: each has words of its own."""
    assert faults_of(spec) == faults


def test_all_faults_stand_in_one_sentence() -> None:
    """A person mends a Guard once, not once for each fault."""
    spec = {
        "source": {"git": {"url": "ftp://x", "interval": "0s"}},
        "admission": {"mode": "Revert"},
        "pause": True,
    }

    with pytest.raises(errors.InvalidGuard) as caught:
        guards.GuardSpec.parse(spec)

    text = str(caught.value)
    assert text.startswith("the Guard is not valid: spec.source.git.url must be like https://")
    assert "; spec.source.git.interval must be at least 1s; " in text
    assert "; spec.admission.mode must be 'Deny', 'Flag' or 'Audit'; " in text
    assert text.endswith("; spec.pause is unknown")


def test_a_password_in_the_url_is_never_shown() -> None:
    """Neither in the text nor in a traceback, whichever field is wrong."""
    spec = guard_specs.with_field("source.git.url", "https//user:hunter2@git.example")
    spec["source"]["git"]["extra"] = "hunter2"

    with pytest.raises(errors.InvalidGuard) as caught:
        guards.GuardSpec.parse(spec)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_python_names_are_no_yaml_names() -> None:
    """Fields are found by their camelCase names alone, as the API server knows them."""
    assert {field.alias for field in guards.GuardSpec.model_fields.values()} == {
        "source",
        "target",
        "admission",
        "drift",
    }
