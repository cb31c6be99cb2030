"""Added owners and finalizers are tampering: they make the cluster delete or keep an object."""

from typing import Any

from guard.api.verdicts import ChangeKind
from guard.fields import changes, paths
from guard.fields.values import MISSING


def owner(uid: str, name: str = "x") -> dict[str, Any]:
    """Give an owner reference."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}


def test_added_owners_and_finalizers_are_found() -> None:
    """An owner that does not exist makes the garbage collector delete the object."""
    old = {"metadata": {"ownerReferences": [owner("1")], "finalizers": ["a"]}}
    new = {"metadata": {"ownerReferences": [owner("2"), owner("1")], "finalizers": ["a", "b"]}}

    found = changes.tampered(old=old, new=new)

    assert [(paths.readable(c.path), c.kind, c.old, c.new) for c in found] == [
        ('metadata.ownerReferences[uid="2"]', ChangeKind.TAMPERED, MISSING, owner("2")),
        ('metadata.finalizers[="b"]', ChangeKind.TAMPERED, MISSING, "b"),
    ]


def test_removed_or_renamed_ones_are_not() -> None:
    """An owner is who its uid says; a finalizer that is gone was its controller's to remove."""
    old = {"metadata": {"ownerReferences": [owner("1")], "finalizers": ["a"]}}

    assert changes.tampered(old=old, new={"metadata": {}}) == ()
    assert changes.tampered(old=old, new={}) == ()
    assert changes.tampered(old={}, new={"metadata": {"ownerReferences": None}}) == ()
    renamed = {"metadata": {"ownerReferences": [owner("1", "y")]}}
    assert changes.tampered(old=old, new=renamed) == ()
