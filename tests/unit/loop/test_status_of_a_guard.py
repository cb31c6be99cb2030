"""Conditions, counts and news, as a table from the state of a loop."""

import dataclasses
import datetime as dt

import pytest

from guard.api import errors as api_errors
from guard.cluster import errors as cluster_errors
from guard.inventory import entries
from guard.loop import drift, errors, plan, status
from guard.render import errors as render_errors
from guard.sources import errors as source_errors

NOW = dt.datetime(2026, 11, 25, 9, 0, tzinfo=dt.UTC)
VIEW = status.View(
    generation=3,
    source="https://git.example/shop.git#apps",
    observed="main@3f2c1d9",
    applied="main@3f2c1d9",
    applied_time="2026-11-25T08:00:00Z",
    objects=(),
    orphaned=0,
    restored=0,
)


@pytest.fixture
def guarded(manifest, config_maps, owner):
    """Give a maker of guarded objects in a state."""

    def make(name, state, message=""):
        desired = plan.desire(manifest(name), config_maps, owner=owner, target_namespace=None)
        return drift.Guarded(desired, state=state, message=message)

    return make


def conditions(view, known=()):
    """Give the conditions of a view as {type: (status, reason, message)}."""
    written = status.status_of(view, known, now=NOW)
    return {
        one["type"]: (one["status"], one["reason"], one["message"]) for one in written["conditions"]
    }


def test_all_in_order(guarded):
    view = dataclasses.replace(VIEW, objects=[guarded("a", entries.State.SYNCED)])

    assert conditions(view) == {
        "Ready": ("True", "Synced", "1 objects are as main@3f2c1d9 says"),
        "Reconciling": ("False", "Idle", "nothing is being applied"),
        "Stalled": ("False", "Progressing", "nothing waits for a person"),
        "Drifted": ("False", "InOrder", "no object differs from the source"),
    }


@pytest.mark.parametrize(
    ("fault", "reason", "stalled"),
    [
        (source_errors.Unreachable("no answer"), "SourceUnreachable", "False"),
        (source_errors.UnknownRef("no branch x"), "SourceUnknownRef", "True"),
        (source_errors.Unauthorized("no"), "SourceUnauthorized", "True"),
    ],
)
def test_a_source_fault_is_ready_false_and_stalls_only_for_a_person(fault, reason, stalled):
    found = conditions(dataclasses.replace(VIEW, source_fault=fault))

    assert found["Ready"] == ("False", reason, str(fault))
    assert found["Stalled"][0] == stalled


def test_faults_of_a_revision_are_listed_and_counted():
    faults = [render_errors.UnreadableFile(f"{name}.yaml", 3, "is no YAML.") for name in "abcde"]

    found = conditions(dataclasses.replace(VIEW, faults=faults))

    assert found["Ready"][:2] == ("False", "RenderFailed")
    assert found["Ready"][2].startswith("a.yaml:3: ")
    assert found["Ready"][2].endswith("; and 2 more")
    assert found["Stalled"][0] == "True"


def test_what_blocks_the_loop_comes_first():
    blocked = cluster_errors.Unreachable("the API server does not answer")
    view = dataclasses.replace(
        VIEW, blocked=blocked, source_fault=source_errors.Unreachable("no answer")
    )

    assert conditions(view)["Ready"] == ("False", "Unreachable", "the API server does not answer")


def test_an_invalid_spec_waits_for_a_person():
    invalid = api_errors.InvalidGuard([api_errors.Fault("spec.source", "is required")])

    found = conditions(dataclasses.replace(VIEW, blocked=invalid))

    assert found["Ready"][:2] == ("False", "InvalidGuard")
    assert found["Stalled"][:2] == ("True", "InvalidGuard")


def test_objects_that_failed_and_that_differ(guarded):
    failed = guarded("a", entries.State.FAILED, "ConfigMap shop/a (conf.yaml:1): refused")
    drifted = guarded("b", entries.State.DRIFTED, "ConfigMap shop/b differs")
    view = dataclasses.replace(VIEW, objects=[failed, drifted, guarded("c", entries.State.SYNCED)])

    found = conditions(view)
    written = status.status_of(view, (), now=NOW)

    assert found["Ready"] == ("False", "ApplyFailed", "ConfigMap shop/a (conf.yaml:1): refused")
    assert found["Drifted"] == ("True", "Drifted", "ConfigMap shop/b differs")
    counted = {name: written[name] for name in ("objects", "synced", "drifted", "failed")}
    assert counted == {"objects": 3, "synced": 1, "drifted": 1, "failed": 1}


def test_before_the_first_revision_ready_is_unknown():
    view = dataclasses.replace(VIEW, applied="", applied_time="")

    assert conditions(view)["Ready"][:2] == ("Unknown", "Starting")
    assert "lastAppliedTime" not in status.status_of(view, (), now=NOW)


def test_the_time_of_a_condition_moves_only_with_its_status():
    before = status.status_of(VIEW, (), now=NOW)
    later = NOW + dt.timedelta(hours=1)

    after = status.status_of(
        dataclasses.replace(VIEW, reconciling=True), before["conditions"], now=later
    )

    times = {one["type"]: one["lastTransitionTime"] for one in after["conditions"]}
    assert times["Ready"] == "2026-11-25T09:00:00Z"
    assert times["Reconciling"] == "2026-11-25T10:00:00Z"


def test_news_name_each_fault_and_the_applied_revision(guarded):
    fault = errors.NothingRendered("shop/shop-prod", "main@3f2c1d9")
    failed = guarded("a", entries.State.FAILED, "ConfigMap shop/a (conf.yaml:1): refused")

    news = status.news_of(dataclasses.replace(VIEW, faults=[fault], objects=[failed]))

    assert [(one.reason, one.warning) for one in news] == [
        ("NothingRendered", True),
        ("ApplyFailed", True),
        ("Applied", False),
    ]
