"""With failurePolicy Fail: nothing that is guarded passes unjudged, and nothing else is held up."""

import json
import os
import subprocess
import time

import pytest
from controlplane import chart, errors, installation
from e2e import release, shop
from support import polling

pytestmark = pytest.mark.e2e

BINDING = f"clusterrolebinding/{chart.RELEASE}-fail-closed"
OWN = f"--namespace={chart.NAMESPACE}"
WEBHOOK = f"deployment/{chart.RELEASE}-webhook"
KILLED_SECONDS = 10.0


@pytest.fixture(scope="module")
def guarded(node, tmp_path_factory):
    """Install with a closed gate asked for, and wait until the guard process has closed it."""
    values = {"webhook": {"failurePolicy": "Fail"}}
    files = {"apps/conf.yaml": shop.config_map("conf", level="info")}
    with shop.installed(node, tmp_path_factory.mktemp("git"), files, values) as running:
        yield running


@pytest.fixture
async def closed(node, guarded):
    """Have both replicas up, and the gate closed by the guard process."""
    await guarded.applied(guarded.repository.tip())
    node.kubectl(OWN, "scale", WEBHOOK, "--replicas=2")
    node.kubectl(OWN, "rollout", "status", WEBHOOK, "--timeout=60s")
    await polling.eventually(
        lambda: node.kubectl("get", BINDING, "--output=jsonpath={.subjects[*].name}").stdout,
        within_seconds=60,
        every_seconds=0.5,
    )
    return guarded


@pytest.fixture
async def unjudged(node, closed):
    """Have no replica of the webhook at all."""
    node.kubectl(OWN, "scale", WEBHOOK, "--replicas=0")
    shop.kill(node, *shop.webhook_pods(node))
    await polling.eventually(lambda: not shop.webhook_pods(node), within_seconds=30)
    return closed


def holdfast(node, *args):
    """Run the command as Alice, on a machine without a store."""
    environment = {**node.kubectl_environment("alice"), "HOME": os.devnull, "NO_COLOR": "1"}
    return subprocess.run(
        [installation.HOLDFAST, *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


async def test_the_gate_closes_once_every_replica_has_refused_a_probe(node, closed):
    """The guard process tells which replicas it has proven, and they are those that are ready."""
    log = node.kubectl(OWN, "logs", f"{chart.RELEASE}-guard-0").stdout

    lines = [json.loads(line) for line in log.splitlines()]
    proofs = [line["proof"] for line in lines if "proof" in line]
    assert any(proof.startswith("All ready replicas refuse a probe") for proof in proofs)
    assert shop.DENIED in closed.edit("conf", "level", "debug").stderr


async def test_with_one_replica_killed_no_edit_passes(node, closed):
    """Alice tries without a break while another replica comes up; each edit is refused."""
    alice = shop.as_alice(node)
    pods = shop.webhook_pods(node)
    outcomes = []

    shop.kill(node, pods[0])
    deadline = time.monotonic() + KILLED_SECONDS
    while time.monotonic() < deadline:
        try:
            alice.request(
                "PATCH",
                f"{shop.CONFIGMAPS}/conf",
                {"data": {"level": f"debug-{len(outcomes)}"}},
                content_type="application/merge-patch+json",
            )
        except errors.ApiError as error:
            outcomes.append(shop.DENIED in str(error))
        else:
            pytest.fail(f"edit {len(outcomes)} passed")

    # Some may have met the replica that was gone: they failed, which is no judgement but no hole.
    assert len(outcomes) > 20
    assert outcomes[-1]
    assert closed.read("configmap/conf", ".data.level") == "info"


async def test_with_all_replicas_gone_only_guarded_objects_are_held_up(node, unjudged):
    """Neither what is not ours, nor the cluster's own services, nor we ourselves wait for us."""
    refused = unjudged.edit("conf", "level", "debug")
    deleted = unjudged.kubectl("delete", "configmap", "conf")

    assert (refused.returncode, deleted.returncode) == (1, 1)
    assert unjudged.read("configmap/conf", ".data.level") == "info"
    # With our mark on them, by mistake or in bad faith, as far as it may have any effect.
    marked = {"labels": {"holdfast.dev/guard": "0123456789ab"}}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    plain = {"apiVersion": "v1", "kind": "ConfigMap"}
    for namespace, manifest, metadata in (
        (shop.NAMESPACE, plain, {}),
        (shop.NAMESPACE, lease, marked),
        ("kube-system", plain, marked),
        (chart.NAMESPACE, plain, marked),
    ):
        what = manifest["kind"].lower()
        obj = json.dumps({**manifest, "metadata": {**metadata, "name": "free"}})
        place = f"--namespace={namespace}"
        node.kubectl(place, "create", "--filename=-", stdin=obj, user="alice")
        node.kubectl(place, "annotate", what, "free", "touched=yes", user="alice")
        node.kubectl(place, "delete", what, "free", user="alice")


async def test_the_off_switch_needs_no_pod_of_the_webhook(node, unjudged):
    """It lets edits pass at once; when it is on again they are refused, and drift is put back."""
    told = holdfast(node, "off", "--reason", "INC-42: the checkout is down")
    try:
        passed = await polling.eventually(
            lambda: unjudged.edit("conf", "level", "debug").returncode == 0, within_seconds=20
        )
    finally:
        holdfast(node, "on")

    assert told.startswith("Enforcement is off")
    assert passed
    await polling.eventually(
        lambda: unjudged.edit("conf", "level", "trace").returncode == 1, within_seconds=20
    )
    await polling.eventually(
        lambda: unjudged.read("configmap/conf", ".data.level") == "info", within_seconds=30
    )


async def test_the_switch_of_the_documentation_works_with_every_pod_dead(node, unjudged):
    """The command of docs/security.md, with the guard process gone as well."""
    node.kubectl(OWN, "scale", f"statefulset/{chart.RELEASE}-guard", "--replicas=0")
    node.kubectl(OWN, "delete", "pods", "--all", "--force", "--grace-period=0")
    name = f"{chart.RELEASE}-off"
    try:
        assert unjudged.edit("conf", "level", "debug").returncode == 1
        node.kubectl(
            "create",
            "clusterrolebinding",
            name,
            f"--clusterrole={name}",
            f"--serviceaccount={chart.NAMESPACE}:{chart.RELEASE}-switch",
            user="alice",
        )
        await polling.eventually(
            lambda: unjudged.edit("conf", "level", "debug").returncode == 0, within_seconds=20
        )
        assert unjudged.kubectl("delete", "configmap", "conf").returncode == 0
        node.kubectl("delete", "clusterrolebinding", name, user="alice")
    finally:
        node.kubectl("delete", "clusterrolebinding", name, "--ignore-not-found")
        release.install(
            node, release.merged(unjudged.values, {"webhook": {"failurePolicy": "Fail"}})
        )

    await polling.eventually(
        lambda: unjudged.read("configmap/conf", ".data.level") == "info", within_seconds=30
    )
