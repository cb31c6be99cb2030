"""What the guard process does about the gate itself: proving it, and locking what was unlocked."""

import datetime as dt
from collections.abc import Callable
from typing import Final

import structlog

from guard.cluster import client as clients
from guard.cluster import errors, probing, unlocking
from guard.cluster import timing as timings

_LOG: Final = structlog.get_logger(__name__)

_PROVE_EVERY_SECONDS: Final = 5.0
_SWEEP_EVERY_SECONDS: Final = 60.0


async def prove(
    client: clients.Client,
    *,
    namespace: str,
    release: str,
    nonce: Callable[[], str],
    is_off: Callable[[], bool],
    timing: timings.Timing = timings.REAL,
) -> None:
    """Close the gate once every ready replica has refused a probe, where that is asked for.

    Runs until cancelled. A proof that is lost later is logged and opens nothing by itself.
    """
    told = ""
    while True:
        try:
            closed = await probing.is_closed(client, release=release)
            if closed is not None and not is_off():
                ready = await probing.ready_replicas(
                    client, namespace=namespace, service=f"{release}-webhook"
                )
                proof = await probing.prove(client, release=release, ready=ready, nonce=nonce)
                if str(proof) != told:
                    told = str(proof)
                    _LOG.info("the webhook was probed", proof=told, closed=closed)
                if probing.decide(proof, is_closed=closed) is probing.Act.CLOSE:
                    await probing.close(client, namespace=namespace, release=release)
                    _LOG.info("the gate is closed from now on: every ready replica judges")
        except errors.ClusterError as error:
            _LOG.warning("the webhook cannot be probed", error=str(error))
        await timing.sleep(_PROVE_EVERY_SECONDS)


async def lock(
    client: clients.Client, *, namespace: str, timing: timings.Timing = timings.REAL
) -> None:
    """Lock again what somebody has unlocked, a while later, and say who had done it. For ever."""
    locker = unlocking.Locker(client, namespace=namespace)
    known: set[str] = set()
    while True:
        try:
            sweep = await locker.sweep(dt.datetime.now(dt.UTC))
        except errors.ClusterError as error:
            _LOG.warning("cannot look for what is unlocked", error=str(error))
        else:
            for one in sweep.unlocked:
                if one.uid not in known:
                    _LOG.warning("a part of Holdfast is unlocked", **_told(one))
            for one in sweep.locked:
                _LOG.info("a part of Holdfast is locked again", **_told(one))
            for one, fault in sweep.failed:
                _LOG.warning("cannot lock a part of Holdfast", error=str(fault), **_told(one))
            known = {one.uid for one in sweep.unlocked}
        await timing.sleep(_SWEEP_EVERY_SECONDS)


def _told(unlock: unlocking.Unlock) -> dict[str, str]:
    return {
        "kind": unlock.resource.kind,
        "name": unlock.name,
        "reason": unlock.reason,
        "manager": unlock.manager,
    }
