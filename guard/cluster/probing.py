"""Proving that the webhook is there before anything may wait for it.

A probe is a dry run of a change that the webhook must refuse. It goes the way of every request:
API server, DNS, Service, TLS, certificate bundle, handler; so a refusal proves all of them at once,
for the one replica that it names. Istio's control plane does the same before it turns fail-closed.

Whether the webhook's entry is fail-closed stands in the subjects of a binding (charts/holdfast,
fail-closed.yaml). The binding is there only where fail-closed is asked for.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterable
from typing import Any, Final

from guard.api import objects, probes
from guard.cluster import client as clients
from guard.cluster import errors, resources, switch
from guard.cluster import objects as verbs

ATTEMPTS_PER_REPLICA: Final = 16
"""Each probe reaches a random replica. Of three, one is missed by 48 probes once in 280 million
times; of ten, one by 160 once in 20 million."""

_MANAGER: Final = "holdfast"
_MARK: Final = "holdfast.dev/guard"
_TIMEOUT_SECONDS: Final = 10.0
_SLICES: Final = resources.Resource(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced=True
)


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """What probes have shown of the replicas that were ``ready``.

    ``refusing`` are those that refused one. ``unjudged`` counts the probes that were let through,
    which means that no webhook was asked or none answered; ``trouble`` is the last sentence of the
    API server about one that failed otherwise.
    """

    ready: frozenset[str]
    refusing: frozenset[str] = frozenset()
    unjudged: int = 0
    trouble: str = ""

    @property
    def missing(self) -> frozenset[str]:
        """The ready replicas that have refused nothing."""
        return self.ready - self.refusing

    @property
    def is_complete(self) -> bool:
        """Whether every ready replica has refused a probe, and there is one."""
        return bool(self.ready) and not self.missing

    def __str__(self) -> str:
        """Say it in a sentence."""
        if not self.ready:
            return "No replica of the webhook is ready."
        if self.is_complete:
            return f"All ready replicas refuse a probe: {', '.join(sorted(self.ready))}."
        story = f"No probe was refused by {', '.join(sorted(self.missing))}"
        if self.unjudged:
            story += f"; {self.unjudged} were let through"
        return f"{story}; {self.trouble}" if self.trouble else f"{story}."


class Act(enum.Enum):
    """What to do about the webhook's entry."""

    STAY = enum.auto()
    CLOSE = enum.auto()
    OPEN = enum.auto()


def decide(proof: Proof, *, is_closed: bool, opens_on_lost_proof: bool = False) -> Act:
    """Decide, where fail-closed is asked for.

    Closing takes the whole proof. A proof that is lost later opens nothing by itself, unless that
    is wanted: else whoever can stop a pod could open the gate.
    """
    if proof.is_complete:
        return Act.STAY if is_closed else Act.CLOSE
    return Act.OPEN if is_closed and opens_on_lost_proof else Act.STAY


async def prove(
    client: clients.Client,
    *,
    release: str,
    ready: Iterable[str],
    nonce: Callable[[], str],
) -> Proof:
    """Send probes until each ready replica has refused one, or for as long as it may take.

    ``ready`` are the names by which the replicas call themselves: those of their pods. ``nonce``
    gives the number of a probe, good for a label's value and never the same.

    Stops at the first probe that is let through or fails: with a gate that does not hold, more of
    them show nothing. Raises ClusterError if the probe itself is not possible: no right, no object.
    """
    proof = Proof(frozenset(ready))
    for _ in range(ATTEMPTS_PER_REPLICA * len(proof.ready)):
        proof = await _probe(client, proof, release=release, nonce=nonce())
        if proof.is_complete or proof.unjudged or proof.trouble:
            break
    return proof


async def _probe(client: clients.Client, proof: Proof, *, release: str, nonce: str) -> Proof:
    path = switch.CLUSTER_ROLES.path(name=f"{release}-probe")
    try:
        await client.request(
            "PATCH",
            path,
            query={"dryRun": "All", "fieldManager": _MANAGER},
            body={"metadata": {"labels": {_MARK: "probe", probes.LABEL: nonce}}},
            content_type=verbs.MERGE_PATCH,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
    except errors.Forbidden as error:
        refusal = probes.read(error.message)
        if refusal is None:
            raise
        if refusal.nonce != nonce:
            return dataclasses.replace(proof, trouble="The answer was to another probe.")
        return dataclasses.replace(proof, refusing=proof.refusing | {refusal.replica})
    except errors.ServerFault as error:
        # What a webhook that must not fail, and cannot be reached, is told as.
        return dataclasses.replace(proof, trouble=str(error))
    return dataclasses.replace(proof, unjudged=proof.unjudged + 1)


async def ready_replicas(client: clients.Client, *, namespace: str, service: str) -> frozenset[str]:
    """Give the names of the pods behind a Service that are ready."""
    slices = await verbs.list_all(
        client,
        _SLICES,
        namespace=namespace,
        label_selector=f"kubernetes.io/service-name={service}",
    )
    return ready_in(slices)


def ready_in(slices: Iterable[objects.RawObject]) -> frozenset[str]:
    """Give the names of the pods in EndpointSlices that are ready.

    An endpoint that does not say is ready (discovery/v1, EndpointConditions).
    """
    return frozenset(
        endpoint["targetRef"]["name"]
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        and (endpoint.get("targetRef") or {}).get("kind") == "Pod"
    )


async def is_closed(client: clients.Client, *, release: str) -> bool | None:
    """Say whether the webhook's entry is fail-closed; None where that is not asked for.

    Raises ClusterError.
    """
    try:
        standing = await verbs.get(client, switch.BINDINGS, "", _binding(release))
    except errors.NotFound:
        return None
    return bool(standing.get("subjects"))


async def close(client: clients.Client, *, namespace: str, release: str) -> None:
    """Make the webhook's entry fail-closed. Raises ClusterError."""
    await _fill(client, release, [switch.subject(namespace, release)])


async def open_(client: clients.Client, *, release: str) -> None:
    """Make the webhook's entry fail-open. Raises ClusterError."""
    await _fill(client, release, None)


async def _fill(
    client: clients.Client, release: str, subjects: list[dict[str, Any]] | None
) -> None:
    await verbs.patch(
        client,
        switch.BINDINGS,
        "",
        _binding(release),
        {"subjects": subjects},
        content_type=verbs.MERGE_PATCH,
        manager=_MANAGER,
    )


def _binding(release: str) -> str:
    return f"{release}-fail-closed"
