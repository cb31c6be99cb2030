"""What the guard process does for our protection, under its own rights: probe, close, lock, ask."""

import asyncio
import base64
import contextlib
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from controlplane import chart
from support import polling, probed_webhook, released

from guard.cluster import client as clients
from guard.cluster import errors, probing, switch, unlocking

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAMES = ["webhook-0", "webhook-1", "webhook-2"]


@pytest.fixture
async def guard(installed: released.Cluster) -> AsyncIterator[clients.Client]:
    """Connect with the token of the guard process."""
    kubeconfig = installed.plane.token_kubeconfig(chart.NAMESPACE, "holdfast-guard")
    async with await clients.Client.connect(kubeconfig=kubeconfig) as connected:
        yield connected


@pytest.fixture
def nonce() -> Callable[[], str]:
    """Give a maker of numbers."""
    count = itertools.count()
    return lambda: f"n{next(count)}"


@pytest.fixture
def replicas(installed: released.Cluster, tmp_path: Path) -> Iterator[probed_webhook.Replicas]:
    """Serve three replicas behind the release's entries; afterwards nobody answers again."""
    with probed_webhook.running(tmp_path, NAMES) as served:
        values = {**released.VALUES, "webhook": {**released.VALUES["webhook"], "url": served.url}}
        installed.helm("upgrade", values=values)
        _inject(installed, served.ca_pem)
        yield served
    installed.helm("upgrade", values=released.VALUES)


def _inject(cluster: released.Cluster, ca_pem: bytes) -> None:
    bundle = base64.b64encode(ca_pem).decode()
    operations = ", ".join(
        f'{{"op": "add", "path": "/webhooks/{index}/clientConfig/caBundle", "value": "{bundle}"}}'
        for index in range(3)
    )
    what = ("validatingwebhookconfiguration", "holdfast", "--type=json", "-p", f"[{operations}]")
    cluster.kubectl("patch", *what)


async def proven(
    guard: clients.Client, nonce: Callable[[], str], ready: list[str] = NAMES
) -> probing.Proof:
    """Probe once."""
    return await probing.prove(guard, release=chart.RELEASE, ready=ready, nonce=nonce)


async def test_every_replica_must_refuse_before_it_is_closed(
    guard: clients.Client, replicas: probed_webhook.Replicas, nonce: Callable[[], str]
) -> None:
    """One that lets a probe through, or is not heard of, breaks the proof."""

    async def complete() -> probing.Proof | None:
        proof = await proven(guard, nonce)
        return proof if proof.is_complete else None

    found = await polling.eventually(complete)
    assert found.refusing == set(NAMES)

    replicas.passing = {"webhook-1"}
    broken = await proven(guard, nonce)
    assert not broken.is_complete
    assert broken.unjudged == 1

    replicas.passing = set()
    silent = await proven(guard, nonce, [*NAMES, "webhook-3"])
    assert silent.missing == {"webhook-3"}


async def test_where_nobody_answers_the_probe_says_so(
    guard: clients.Client, nonce: Callable[[], str]
) -> None:
    """The entry that would be closed is asked, so silence is an error and no pass."""
    proof = await proven(guard, nonce)

    assert not proof.is_complete
    assert 'failed calling webhook "closed.objects.holdfast.dev"' in proof.trouble


async def test_a_probe_leaves_nothing_behind(
    installed: released.Cluster,
    guard: clients.Client,
    replicas: probed_webhook.Replicas,
    nonce: Callable[[], str],
) -> None:
    """Let through or refused, it was a dry run."""
    replicas.passing = set(NAMES)
    await proven(guard, nonce)

    labels = ("get", "clusterrole", "holdfast-probe", "-o", "jsonpath={.metadata.labels}")
    assert "holdfast.dev" not in installed.kubectl(*labels).stdout


async def test_it_closes_and_opens(installed: released.Cluster, guard: clients.Client) -> None:
    """By the subjects of the binding, and by nothing else that it may change there."""
    assert await probing.is_closed(guard, release=chart.RELEASE) is False
    await probing.close(guard, namespace=chart.NAMESPACE, release=chart.RELEASE)
    assert await probing.is_closed(guard, release=chart.RELEASE) is True
    await probing.open_(guard, release=chart.RELEASE)
    assert await probing.is_closed(guard, release=chart.RELEASE) is False

    assert await probing.ready_replicas(guard, namespace=chart.NAMESPACE, service="x") == set()
    del installed


async def test_it_is_told_when_enforcement_is_off(
    installed: released.Cluster, guard: clients.Client
) -> None:
    """By the documented command at once; by another binding in some seconds."""
    told: list[bool] = []
    following = switch.Switch(
        guard, namespace=chart.NAMESPACE, release=chart.RELEASE, on_change=told.append
    )
    task = asyncio.create_task(following.run())
    try:
        await asyncio.wait_for(following.known.wait(), 10)
        assert not following.is_off
        installed.kubectl(*released.OFF)
        await polling.eventually(lambda: following.is_off, within_seconds=5)
        installed.kubectl("delete", "clusterrolebinding", "holdfast-off")
        await polling.eventually(lambda: not following.is_off, within_seconds=5)
        create, kind, _, *rest = released.OFF
        installed.kubectl(create, kind, "holdfast-other", *rest)
        await polling.eventually(lambda: following.is_off, within_seconds=15)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        installed.kubectl("delete", "clusterrolebinding", "holdfast-other", "--ignore-not-found")

    assert told == [True, False, True]


async def test_it_asks_rbac_what_the_conditions_ask(
    installed: released.Cluster, guard: clients.Client
) -> None:
    """As a member of the same groups: a right of all that are authenticated counts for neither."""
    where = {"namespace": chart.NAMESPACE, "release": chart.RELEASE}
    assert not await switch.is_off(guard, **where)
    for group, counts in {"system:authenticated": False, "system:serviceaccounts": True}.items():
        binding = ("clusterrolebinding", "holdfast-group", "--clusterrole=holdfast-off")
        installed.kubectl("create", *binding, f"--group={group}")
        try:

            async def as_expected(*, wanted: bool = counts) -> bool:
                edit = ("label", "clusterrole", "holdfast-off", "a=b", "--dry-run=server")
                passes = not installed.is_refused(*edit)
                return passes is await switch.is_off(guard, **where) is wanted

            await polling.eventually(as_expected)
        finally:
            installed.kubectl("delete", "clusterrolebinding", "holdfast-group")
        await polling.eventually(lambda: _is_on(guard))


async def _is_on(guard: clients.Client) -> bool:
    return not await switch.is_off(guard, namespace=chart.NAMESPACE, release=chart.RELEASE)


async def test_it_locks_every_part_again(
    installed: released.Cluster, guard: clients.Client
) -> None:
    """All that are ours, when their time is over, without a right that it has not itself."""
    kinds = "validatingwebhookconfigurations,crds,clusterroles,clusterrolebindings"
    ours = ("-l", "app.kubernetes.io/part-of=holdfast", "-o", "name")
    everything = installed.kubectl("get", kinds, *ours).stdout.split()
    where = f"--namespace={chart.NAMESPACE}"
    inside = installed.kubectl("get", "roles,rolebindings", *ours, where).stdout.split()
    installed.kubectl("annotate", *everything, f"{unlocking.ANNOTATION}=INC-42", user="alice")
    installed.kubectl("annotate", *inside, where, f"{unlocking.ANNOTATION}=INC-42", user="alice")
    locker = unlocking.Locker(guard, namespace=chart.NAMESPACE)
    now = dt.datetime.now(dt.UTC)

    early = await locker.sweep(now)
    late = await locker.sweep(now + dt.timedelta(minutes=15))
    after = await locker.sweep(now + dt.timedelta(minutes=15))

    assert len(early.unlocked) == len(everything) + len(inside)
    assert {one.reason for one in early.unlocked} == {"INC-42"}
    assert late.failed == ()
    assert late.locked == early.unlocked
    assert after == unlocking.Sweep((), (), ())
    assert installed.is_refused("label", *everything[:1], "a=b")


async def test_an_object_that_changed_meanwhile_is_left_for_the_next_look(
    installed: released.Cluster, guard: clients.Client
) -> None:
    """The version that was seen is the one that is locked."""
    role = ("clusterrole", "holdfast-off")
    installed.kubectl("annotate", *role, f"{unlocking.ANNOTATION}=INC-42")
    found = (await unlocking.Locker(guard, namespace=chart.NAMESPACE).sweep(_now())).unlocked
    installed.kubectl("label", *role, "a=b")

    with pytest.raises(errors.Conflict):
        await unlocking.lock(guard, found[0])

    installed.kubectl("label", *role, "a-")
    installed.kubectl("annotate", *role, f"{unlocking.ANNOTATION}-")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
