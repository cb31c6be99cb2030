"""What probes prove, and what follows from it."""

import pytest

from guard.api import probes
from guard.cluster import probing

BOTH = frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("proof", "is_complete"),
    [
        (probing.Proof(BOTH, BOTH), True),
        (probing.Proof(frozenset({"a"}), BOTH), True),
        (probing.Proof(BOTH, frozenset({"a"})), False),
        (probing.Proof(BOTH, frozenset({"a", "c"})), False),
        (probing.Proof(frozenset(), frozenset()), False),
    ],
)
def test_every_ready_replica_must_have_refused(proof: probing.Proof, *, is_complete: bool) -> None:
    """One that has gone meanwhile does no harm; where none is ready, nothing is proven."""
    assert proof.is_complete is is_complete
    assert ("All ready replicas refuse" in str(proof)) is is_complete


def test_a_proof_that_failed_says_of_whom_and_why() -> None:
    """In one sentence, for a log and a status."""
    unjudged = probing.Proof(BOTH, frozenset({"a"}), unjudged=1)
    dead = probing.Proof(BOTH, trouble="connection refused")

    assert str(unjudged) == "No probe was refused by b; 1 were let through."
    assert str(dead) == "No probe was refused by a, b; connection refused"
    assert str(probing.Proof(frozenset())) == "No replica of the webhook is ready."


@pytest.mark.parametrize(
    ("proven", "is_closed", "opens", "act"),
    [
        (True, False, False, probing.Act.CLOSE),
        (True, True, True, probing.Act.STAY),
        (False, False, True, probing.Act.STAY),
        (False, True, False, probing.Act.STAY),
        (False, True, True, probing.Act.OPEN),
    ],
)
def test_only_a_proof_closes_and_losing_it_opens_only_if_wanted(
    *, proven: bool, is_closed: bool, opens: bool, act: probing.Act
) -> None:
    """Else whoever can stop a pod could open the gate."""
    proof = probing.Proof(BOTH, BOTH if proven else frozenset())

    assert probing.decide(proof, is_closed=is_closed, opens_on_lost_proof=opens) is act


def test_a_refusal_is_read_out_of_the_api_servers_words() -> None:
    """The API server puts the entry's name in front."""
    told = 'admission webhook "closed.objects.holdfast.dev" denied the request: '

    assert probes.read(told + probes.denial("7f", "holdfast-webhook-1")) == (
        "7f",
        "holdfast-webhook-1",
    )
    assert probes.read(told + "shop/web is managed from Git") is None


def test_ready_are_the_pods_that_do_not_say_otherwise() -> None:
    """As the type EndpointConditions in discovery/v1 says; other endpoints are no replicas."""

    def endpoint(name: str, kind: str = "Pod", **conditions: bool) -> dict[str, object]:
        return {"targetRef": {"kind": kind, "name": name}, "conditions": conditions}

    slices = [
        {"endpoints": [endpoint("a", ready=True), endpoint("b", ready=False), endpoint("c")]},
        {"endpoints": [endpoint("n", kind="Node", ready=True), {"addresses": ["10.0.0.1"]}]},
        {"endpoints": None},
    ]

    assert probing.ready_in(slices) == {"a", "c"}
