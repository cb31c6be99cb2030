"""After an apply, nothing of any kind is drift: neither in the answer nor later."""

from typing import Any

import pytest

from guard.fields import changes, digests, paths

pytestmark = pytest.mark.integration


def shown(change: changes.Change) -> str:
    """Give a change as a line for a failing test."""
    return f"{paths.readable(change.path)} {change.old!r} {change.new!r}"


async def test_after_an_apply_of_any_kind_nothing_is_drift_or_mutated(guarding: Any) -> None:
    """Empties, odd quantities, stringData, defaulted keys: all are right as the server has them."""
    faults = []
    applied = [await guarding.apply(obj) for obj in guarding.manifests()]
    for one in applied:
        name = one.response["kind"] + "/" + one.response["metadata"]["name"]
        declared, expected = one.declaration.declared, one.declaration.expected
        live = await guarding.live(one)
        for label, obj in (("response", one.response), ("live", live)):
            found = changes.changes(old=expected, new=obj, declared=declared)
            faults += [f"{name} {label} {shown(change)}" for change in found]
            if digests.digest(expected, declared) != digests.digest(obj, declared):
                faults.append(f"{name} {label} digest")
        faults += [f"{name} mutated {shown(change)}" for change in one.declaration.mutated]

    assert not faults
    assert len(applied) >= 16


async def test_a_second_apply_declares_the_same(guarding: Any) -> None:
    """What the first answer says is what every later one says."""
    for obj in guarding.manifests():
        first = await guarding.apply(obj)
        second = await guarding.apply(obj)

        assert first.declaration.declared == second.declaration.declared, obj["kind"]
        assert first.declaration.expected == second.declaration.expected, obj["kind"]
