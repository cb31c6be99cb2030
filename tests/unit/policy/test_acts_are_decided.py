"""The decision table: who, on what, in which mode, ends how."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from guard.api import keys
from guard.api.verdicts import ChangeKind, Mode, Verdict
from guard.fields import digests, fieldset, values
from guard.policy import decision, secrecy
from guard.policy.callers import CallerClass

KEY = keys.ObjectKey("", "ConfigMap", "shop", "conf")
MASKER = secrecy.Masker(b"k" * 32)
DECLARED = fieldset.FieldSet.from_v1(
    {
        "f:data": {"f:level": {}, "f:size": {}, "f:password": {}},
        "f:metadata": {"f:labels": {"f:holdfast.dev/guard": {}}},
    }
)

Edit = Callable[[dict[str, Any]], None]


def conf() -> dict[str, Any]:
    """Make the object as the source says."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "conf",
            "namespace": "shop",
            "labels": {"holdfast.dev/guard": "abc"},
        },
        "data": {"level": "info", "size": "3", "password": "hunter2"},
    }


def facts(edit: Edit | None = None, **given: Any) -> decision.Facts:
    """Make the facts of an edit of an object that is in order, by a person, in Deny mode."""
    old = given.pop("old", None) or conf()
    new = copy.deepcopy(old)
    if edit is not None:
        edit(new)
    known: dict[str, Any] = {
        "key": KEY,
        "operation": "UPDATE",
        "caller": CallerClass.PERSON,
        "mode": Mode.DENY,
        "old": old,
        "new": new,
        "declared": DECLARED,
        "recorded": DECLARED,
        "digest": digests.digest(conf(), DECLARED),
    }
    return decision.Facts(**{**known, **given})


def judge(edit: Edit | None = None, **given: Any) -> decision.Judgement:
    """Judge an edit."""
    return decision.judge(facts(edit, **given), masker=MASKER)


def debug(obj: dict[str, Any]) -> None:
    """Change a declared value."""
    obj["data"]["level"] = "debug"


def unmark(obj: dict[str, Any]) -> None:
    """Remove the mark."""
    del obj["metadata"]["labels"]


def add_key(obj: dict[str, Any]) -> None:
    """Add something that nobody declares."""
    obj["data"]["mine"] = "x"


def add_owner(obj: dict[str, Any]) -> None:
    """Give the object an owner that does not exist."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "1"}
    obj["metadata"]["ownerReferences"] = [owner]


def add_finalizer(obj: dict[str, Any]) -> None:
    """Keep the object from going."""
    obj["metadata"]["finalizers"] = ["example.org/x"]


def nothing(_: dict[str, Any]) -> None:
    """Change nothing."""


TABLE: dict[str, tuple[Edit, dict[str, Any], Verdict, bool]] = {
    "a declared value, Deny": (debug, {}, Verdict.DENIED, True),
    "a declared value, Flag": (debug, {"mode": Mode.FLAG}, Verdict.FLAGGED, True),
    "a declared value, Audit": (debug, {"mode": Mode.AUDIT}, Verdict.ALLOWED, True),
    "a declared value, by a workload": (
        debug,
        {"caller": CallerClass.WORKLOAD},
        Verdict.DENIED,
        True,
    ),
    "a declared value, by somebody trusted": (
        debug,
        {"caller": CallerClass.TRUSTED},
        Verdict.ALLOWED,
        False,
    ),
    "the mark": (unmark, {}, Verdict.DENIED, True),
    "an undeclared value": (add_key, {}, Verdict.ALLOWED, False),
    "nothing": (nothing, {}, Verdict.ALLOWED, False),
    "an owner": (add_owner, {}, Verdict.DENIED, True),
    "an owner, through status": (add_owner, {"subresource": "status"}, Verdict.DENIED, True),
    "an owner, by a workload": (
        add_owner,
        {"caller": CallerClass.WORKLOAD},
        Verdict.ALLOWED,
        False,
    ),
    "a finalizer": (add_finalizer, {}, Verdict.DENIED, True),
    "an orphan": (debug, {"is_orphaned": True}, Verdict.ALLOWED, True),
    "an orphan's undeclared value": (add_key, {"is_orphaned": True}, Verdict.ALLOWED, False),
    "a create": (debug, {"operation": "CREATE", "old": {}}, Verdict.ALLOWED, False),
    "an unknown declared set": (
        debug,
        {"declared": fieldset.EMPTY, "recorded": fieldset.EMPTY, "digest": ""},
        Verdict.ALLOWED,
        True,
    ),
    "status with an unknown declared set": (
        debug,
        {
            "declared": fieldset.EMPTY,
            "recorded": fieldset.EMPTY,
            "digest": "",
            "subresource": "status",
        },
        Verdict.ALLOWED,
        False,
    ),
}


@pytest.mark.parametrize(("edit", "given", "verdict", "is_recorded"), TABLE.values(), ids=TABLE)
def test_an_update_ends_as_the_table_says(
    edit: Edit, given: dict[str, Any], verdict: Verdict, *, is_recorded: bool
) -> None:
    """Each row is a rule of the design."""
    if given.get("operation") == "CREATE":
        given = {**given, "old": conf()}

    found = judge(edit, **given)

    assert found.verdict is verdict
    assert found.is_recorded is is_recorded


@pytest.mark.parametrize(
    ("given", "verdict", "is_recorded"),
    [
        ({}, Verdict.DENIED, True),
        ({"mode": Mode.FLAG}, Verdict.FLAGGED, True),
        ({"mode": Mode.AUDIT}, Verdict.ALLOWED, True),
        ({"caller": CallerClass.TRUSTED}, Verdict.ALLOWED, False),
        ({"caller": CallerClass.WORKLOAD}, Verdict.DENIED, True),
        ({"is_orphaned": True}, Verdict.ALLOWED, True),
        ({"declared": fieldset.EMPTY}, Verdict.ALLOWED, True),
    ],
)
def test_a_delete_ends_as_the_table_says(
    given: dict[str, Any], verdict: Verdict, *, is_recorded: bool
) -> None:
    """A delete has no new object (BR-10)."""
    found = judge(operation="DELETE", new=None, **given)

    assert found.verdict is verdict
    assert found.is_recorded is is_recorded
    assert found.findings == ()


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_what_is_on_its_way_out_passes(operation: str) -> None:
    """Finalizers of a deleted object can always be removed (BR-41)."""
    old = conf()
    old["metadata"] |= {"deletionTimestamp": "2026-11-25T00:00:00Z", "finalizers": ["a/b"]}

    def release(obj: dict[str, Any]) -> None:
        obj["metadata"]["finalizers"] = []
        obj["data"] = {}

    assert judge(release, old=old, operation=operation) == decision.PASSED


def drifted() -> dict[str, Any]:
    """Make the object with two values that differ from the source."""
    obj = conf()
    obj["data"] |= {"level": "debug", "size": "5"}
    return obj


def test_bringing_everything_back_is_allowed() -> None:
    """An edit after which all is as the source says passes, with no drift report at all."""

    def mend(obj: dict[str, Any]) -> None:
        obj["data"] = conf()["data"]

    found = judge(mend, old=drifted())

    assert (found.verdict, found.reason) == (Verdict.ALLOWED, decision.REASON_RETURNS)
    assert found.is_recorded


DRIFTS = {"data.level": "info", "data.size": "3"}


def test_bringing_one_field_back_is_allowed() -> None:
    """The other one may stay as it is: nothing gets worse."""

    def mend(obj: dict[str, Any]) -> None:
        obj["data"]["level"] = "info"

    found = judge(mend, old=drifted(), drifts=DRIFTS)

    assert (found.verdict, found.reason) == (Verdict.ALLOWED, decision.REASON_RETURNS)


def test_bringing_one_field_back_and_changing_another_is_refused() -> None:
    """Every changed field must end at its expected value."""

    def half(obj: dict[str, Any]) -> None:
        obj["data"] |= {"level": "info", "size": "7"}

    found = judge(half, old=drifted(), drifts=DRIFTS)

    assert found.verdict is Verdict.DENIED
    assert [(one.path, one.source, one.new) for one in found.findings] == [
        ("data.level", "info", "info"),
        ("data.size", "3", "7"),
    ]


def test_a_secret_is_brought_back_by_its_hash() -> None:
    """A report holds only hashes of secrets, and a hash of the right value equals it."""
    old = conf()
    old["data"]["password"] = "wrong"  # noqa: S105 - that it is one is the point
    (path,) = [path for path, _ in DECLARED.leaves() if "password" in str(path)]
    drifts = {"data.password": MASKER.value(KEY, path, "hunter2")}

    def mend(obj: dict[str, Any]) -> None:
        obj["data"]["password"] = "hunter2"  # noqa: S105 - as above

    assert judge(mend, old=old, drifts=drifts, digest="").verdict is Verdict.ALLOWED
    assert judge(nothing, old=old, drifts=drifts).verdict is Verdict.ALLOWED


def test_tampering_is_not_excused_by_bringing_values_back() -> None:
    """An owner stays an owner."""

    def mend(obj: dict[str, Any]) -> None:
        obj["data"] = conf()["data"]
        add_owner(obj)

    assert judge(mend, old=drifted()).verdict is Verdict.DENIED


def test_a_declared_finalizer_may_be_put_back_by_a_person() -> None:
    """What the source names is no tampering."""
    declared = DECLARED.union(
        fieldset.FieldSet.from_v1({"f:metadata": {"f:finalizers": {'v:"example.org/x"': {}}}})
    )
    right = conf()
    add_finalizer(right)

    found = judge(
        add_finalizer,
        declared=declared,
        recorded=declared,
        digest=digests.digest(right, declared),
    )

    assert found.verdict is Verdict.ALLOWED


def test_a_field_that_only_our_newer_entry_names_is_guarded() -> None:
    """The shard may be older than our last apply; its digest says nothing of the new field."""
    declared = DECLARED.union(fieldset.FieldSet.from_v1({"f:data": {"f:mine": {}}}))

    found = judge(add_key, declared=declared)

    assert found.verdict is Verdict.DENIED


def test_source_values_come_from_the_old_object_when_it_is_in_order() -> None:
    """Its digest is the recorded one, so its values are the source's."""
    (finding,) = judge(debug).findings

    assert (finding.path, finding.kind) == ("data.level", ChangeKind.CHANGED)
    assert (finding.source, finding.new, finding.is_known) == ("info", "debug", True)


def test_source_values_are_not_claimed_when_the_old_object_is_not_in_order() -> None:
    """Nothing is reported yet: the live value may be anything."""
    (finding,) = judge(lambda obj: obj["data"].update(level="warn"), old=drifted()).findings

    assert (finding.old, finding.is_known) == ("debug", False)


def test_a_removed_field_is_missing() -> None:
    """Not null, which is a value."""
    (finding,) = judge(lambda obj: obj["data"].pop("level")).findings

    assert (finding.kind, finding.new) == (ChangeKind.REMOVED, values.MISSING)


def test_findings_are_masked() -> None:
    """Nothing unmasked leaves the policy."""
    found = judge(lambda obj: obj["data"].update(password="other"))  # noqa: S106 - as above

    assert "hunter2" not in repr(found)
    assert "other" not in repr(found)


SCALES = {
    "away from the source": (3, 3, 5, Mode.DENY, Verdict.DENIED, True),
    "to nothing": (3, 3, None, Mode.DENY, Verdict.DENIED, True),
    "away, Flag": (3, 3, 5, Mode.FLAG, Verdict.FLAGGED, True),
    "away, Audit": (3, 3, 5, Mode.AUDIT, Verdict.ALLOWED, True),
    "back": (3, 5, 3, Mode.DENY, Verdict.ALLOWED, True),
    "back to nothing": (0, 5, None, Mode.DENY, Verdict.ALLOWED, True),
    "no change": (3, 3, 3, Mode.DENY, Verdict.ALLOWED, False),
    "no change of what has drifted": (3, 5, 5, Mode.DENY, Verdict.ALLOWED, False),
    "not declared": (None, 3, 5, Mode.DENY, Verdict.ALLOWED, False),
}


@pytest.mark.parametrize(
    ("declared", "old", "new", "mode", "verdict", "is_recorded"), SCALES.values(), ids=SCALES
)
def test_a_scale_ends_as_the_table_says(
    declared: int | None,
    old: int | None,
    new: int | None,
    mode: Mode,
    verdict: Verdict,
    is_recorded: bool,  # noqa: FBT001 - as above
) -> None:
    """Scale is judged against the source's replicas alone (BR-11)."""
    found = decision.judge_scale(
        caller=CallerClass.PERSON, mode=mode, declared=declared, old=old, new=new
    )

    assert found.verdict is verdict
    assert found.is_recorded is is_recorded


def test_the_guard_may_scale() -> None:
    """Trusted callers pass."""
    found = decision.judge_scale(
        caller=CallerClass.TRUSTED, mode=Mode.DENY, declared=3, old=5, new=9
    )

    assert found == decision.PASSED
