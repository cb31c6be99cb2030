"""Every kind of review that a real API server sends gets a well-formed and right answer."""

import pytest
from support import gates, reviews

from guard.api.verdicts import Verdict

DENIED = {
    "apply-server-side-force": ("data.a", "data.b"),
    "edit": ("data.a",),
    "edit-deployment": ("spec.template.spec.containers[name=web].image",),
    "patch-json": ("data.a",),
    "patch-merge": ("data.a",),
    "patch-scale": ("spec.replicas",),
    "patch-strategic": ("data.a",),
    "replace": ("data.a", "data.b"),
    "scale": ("spec.replicas",),
    "set-image": ("spec.template.spec.containers[name=web].image",),
    "status-metadata-attack-deployment": (
        'metadata.ownerReferences[uid="11111111-1111-1111-1111-111111111111"]',
        'metadata.finalizers[="facts.dev/f"]',
    ),
}
"""Reviews that would change what the source declares, and the fields that are named."""

UNJUDGED = {
    "apply-client-update",  # these carry a mark, but no Guard ever applied them
    "apply-server-side-update",
    "delete-all-kubectl",
    "delete-dry-run",
    "delete-pod",
}


def make_desk(mode: str) -> gates.Desk:
    """Make a gate that knows the Guard, one ConfigMap and one Deployment."""
    caches = gates.filled()
    caches.put_guard(gates.guard_object(reviews.GUARD_NAMESPACE, reviews.GUARD_NAME, mode=mode))
    known = [
        gates.entry_of(
            reviews.load(name)["request"]["oldObject"], reviews.MANAGER, resource=resource
        )
        for name, resource in (("edit", "configmaps"), ("edit-deployment", "deployments"))
    ]
    caches.put_inventory(
        gates.inventory_object(reviews.GUARD_NAMESPACE, reviews.GUARD_NAME, *known)
    )
    return gates.Desk(caches)


@pytest.fixture
def desk() -> gates.Desk:
    """Give a gate whose Guard denies."""
    return make_desk("Deny")


def test_the_reviews_are_all_there() -> None:
    """A lost file would be a lost case."""
    assert len(reviews.NAMES) == 55
    assert set(reviews.NAMES) >= {*DENIED, *UNJUDGED}


@pytest.mark.parametrize("name", reviews.NAMES)
def test_a_real_review_gets_its_verdict(desk: gates.Desk, name: str) -> None:
    """Denied with the fields that it would change, or allowed, in silence or recorded."""
    response = desk.ask(reviews.load(name))

    assert response["allowed"] is (name not in DENIED)
    if name in DENIED:
        (record,) = desk.records
        assert record.verdict == Verdict.DENIED
        assert tuple(change.path for change in record.changes) == DENIED[name]
        assert response["status"]["code"] == 403
        assert response["status"]["reason"] == "Forbidden"
        assert all(path in response["status"]["message"] for path in DENIED[name])
    elif name in UNJUDGED:
        (record,) = desk.records
        assert record.verdict == Verdict.ALLOWED
        assert record.reason.startswith("not judged: ")
    else:
        assert desk.records == []
        assert response.keys() == {"uid", "allowed"}


@pytest.mark.parametrize("name", sorted(DENIED))
@pytest.mark.parametrize("mode", ["Flag", "Audit"])
def test_the_other_modes_find_the_same(name: str, mode: str) -> None:
    """What Deny refuses, Flag warns about and Audit lets pass, with the same fields on record."""
    desk = make_desk(mode)

    response = desk.ask(reviews.load(name))

    assert response["allowed"] is True
    assert ("warnings" in response) is (mode == "Flag")
    (record,) = desk.records
    assert record.verdict == (Verdict.FLAGGED if mode == "Flag" else Verdict.ALLOWED)
    assert tuple(change.path for change in record.changes) == DENIED[name]


@pytest.mark.parametrize("mode", ["Flag", "Audit"])
def test_the_other_modes_add_nothing(mode: str) -> None:
    """What passes in Deny passes in silence, or unjudged, in every mode."""
    for name in sorted({*reviews.NAMES} - {*DENIED}):
        desk = make_desk(mode)

        response = desk.ask(reviews.load(name))

        assert response["allowed"] is True, name
        assert "warnings" not in response, name
        assert bool(desk.records) is (name in UNJUDGED), name


@pytest.mark.parametrize("name", reviews.NAMES)
def test_no_older_mark_is_left(name: str) -> None:
    """The loader brings every review to today's mark."""
    text = str(reviews.load(name)["request"].get("oldObject")).replace("last-applied", "")

    assert "'holdfast.dev/managed'" not in text
    assert "'holdfast.dev/source'" not in text
    assert "f:holdfast.dev/managed" not in text


@pytest.mark.parametrize("name", reviews.NAMES)
def test_without_guards_everything_passes(name: str) -> None:
    """A mark that names an unknown Guard is recorded at most."""
    response = gates.Desk(gates.filled()).ask(reviews.load(name))

    assert response["allowed"] is True
    assert "warnings" not in response
