"""Callers are classed by what only a real credential carries, never by a name alone (BR-45)."""

import pytest

from guard.policy import callers
from guard.policy.callers import CallerClass

GUARD = callers.Identity("system:serviceaccount:holdfast-system:holdfast-guard", "uid-of-the-guard")
TOKEN = {callers.CREDENTIAL_ID: ("JTI=1",)}
ACCOUNTS = ("system:serviceaccounts", "system:authenticated")
PEOPLE = ("system:authenticated",)


def caller(
    name: str, uid: str = "", groups: tuple[str, ...] = PEOPLE, **extra: str
) -> callers.Caller:
    """Make a caller; ``jti`` gives it the credential id of a real token."""
    return callers.Caller(name, uid, groups, TOKEN if extra else {})


GC = "system:serviceaccount:kube-system:generic-garbage-collector"

CASES = {
    "the guard's own token": (caller(GUARD.username, GUARD.uid, ACCOUNTS, jti="1"), "trusted"),
    "the guard by --as": (caller(GUARD.username), "person"),
    "the guard's name with another uid": (caller(GUARD.username, "x", ACCOUNTS), "workload"),
    "the API server itself": (
        caller("system:apiserver", "random", ("system:masters", "system:authenticated")),
        "trusted",
    ),
    "the API server by --as": (caller("system:apiserver"), "person"),
    "the garbage collector": (caller(GC, "5a74", ACCOUNTS, jti="1"), "trusted"),
    "the garbage collector by --as": (caller(GC), "person"),
    "the garbage collector by --as with a uid": (caller(GC, "5a74", ACCOUNTS), "workload"),
    "the namespace controller": (
        caller("system:serviceaccount:kube-system:namespace-controller", "1", ACCOUNTS, jti="1"),
        "trusted",
    ),
    "the controller manager by certificate": (
        caller("system:kube-controller-manager", jti="1"),
        "trusted",
    ),
    "somebody's tool in kube-system": (
        caller("system:serviceaccount:kube-system:tiller", "7", ACCOUNTS, jti="1"),
        "workload",
    ),
    "a workload": (caller("system:serviceaccount:shop:app", "8", ACCOUNTS, jti="1"), "workload"),
    "a controller's name elsewhere": (
        caller("system:serviceaccount:shop:namespace-controller", "9", ACCOUNTS, jti="1"),
        "workload",
    ),
    "a person": (caller("alice", jti="1"), "person"),
    "a cluster administrator": (caller("root", groups=("system:masters",)), "person"),
    "a trusted person": (caller("deployer"), "trusted"),
    "a trusted account": (
        caller("system:serviceaccount:flux-system:kustomize", "3", ACCOUNTS, jti="1"),
        "trusted",
    ),
    "a trusted account by --as": (caller("system:serviceaccount:flux-system:kustomize"), "person"),
    "nobody": (caller(""), "person"),
}


@pytest.mark.parametrize(("who", "expected"), CASES.values(), ids=CASES)
def test_a_caller_is_classed_by_its_credential(who: callers.Caller, expected: str) -> None:
    """Each caller gets the class that its credential earns."""
    trusted = ("deployer", "system:serviceaccount:flux-system:kustomize")

    found = callers.classify(who, guard=GUARD, trusted_users=trusted)

    assert found == CallerClass(expected)


def test_nobody_is_the_guard_while_it_is_unknown() -> None:
    """Without a known identity, the guard's account is a workload like any other."""
    who = caller(GUARD.username, GUARD.uid, ACCOUNTS, jti="1")

    assert callers.classify(who, guard=None) is CallerClass.WORKLOAD


def test_an_identity_without_uid_is_nobody() -> None:
    """An empty uid in the annotation cannot make --as pass."""
    guard = callers.Identity(GUARD.username, "")

    assert callers.classify(caller(GUARD.username), guard=guard) is CallerClass.PERSON
