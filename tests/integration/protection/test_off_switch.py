"""Ending all enforcement with one command, while everything of ours is dead."""

import json
from collections.abc import Callable, Iterator

import pytest
from controlplane import chart
from support import polling, released

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SUBJECTS = {
    "subjects": [
        {"kind": "ServiceAccount", "name": "holdfast-switch", "namespace": chart.NAMESPACE}
    ]
}
NAMESPACE = "switch-test"
NOBODY = "failed calling webhook"


@pytest.fixture
def closed(installed: released.Cluster) -> Iterator[Callable[[], str]]:
    """Make the entry fail-closed; give alice's edit of a guarded object, which tells what she sees.

    Nobody answers at the webhook's address.
    """
    installed.plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    label = {"holdfast.dev/guard": "0123456789abcdef"}
    conf = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf", "labels": label}}
    where = f"--namespace={NAMESPACE}"
    installed.kubectl("apply", where, "-f", "-", stdin=json.dumps(conf))
    binding = ("clusterrolebinding", "holdfast-fail-closed", "--type=merge", "-p")
    installed.kubectl("patch", *binding, json.dumps(SUBJECTS))

    def edit() -> str:
        args = ("annotate", "configmap", "conf", where, "--overwrite", "example.com/a=b")
        return installed.kubectl(*args, user="alice", check=False).stdout

    try:
        yield edit
    finally:
        installed.kubectl("delete", "clusterrolebinding", "holdfast-off", "--ignore-not-found")
        installed.kubectl("patch", *binding, '{"subjects": null}')


async def test_one_kubectl_command_ends_it_and_another_resumes(
    installed: released.Cluster, closed: Callable[[], str]
) -> None:
    """With a dead webhook that everything waits for, and our own configuration locked."""
    await polling.eventually(lambda: NOBODY in closed())
    assert installed.is_refused("label", "clusterrole", "holdfast-off", "a=b")

    installed.kubectl(*released.OFF, user="alice")

    await polling.eventually(lambda: "annotated" in closed())
    assert not installed.is_refused("label", "clusterrole", "holdfast-guard", "a=b")

    installed.kubectl("delete", "clusterrolebinding", "holdfast-off", user="alice")

    await polling.eventually(lambda: NOBODY in closed())
    assert installed.is_refused("label", "clusterrole", "holdfast-guard", "a-")


async def test_without_the_switch_only_guarded_objects_wait(
    installed: released.Cluster, closed: Callable[[], str]
) -> None:
    """Others, kube-system and our own namespace go on; so does the guard process."""
    await polling.eventually(lambda: NOBODY in closed())

    for namespace in ("default", "kube-system", chart.NAMESPACE):
        where = f"--namespace={namespace}"
        installed.kubectl("create", "configmap", "plain", where, user="alice")
        label = "holdfast.dev/guard=0123456789abcdef"
        if namespace != "default":
            installed.kubectl("label", "configmap", "plain", label, where, user="alice")
        installed.kubectl("delete", "configmap", "plain", where, user="alice")
    guard = installed.plane.token_kubeconfig(chart.NAMESPACE, "holdfast-guard")
    edit = ("label", "configmap", "conf", "a=b", f"--namespace={NAMESPACE}")
    installed.kubectl(*edit, f"--kubeconfig={guard}")


async def test_holdfast_off_and_on_do_the_same_and_say_who(
    installed: released.Cluster, closed: Callable[[], str]
) -> None:
    """A second off names the first; on is idempotent; the role owns the binding."""
    off = installed.run("holdfast", "off", "--reason", "INC-42: no sales", user="alice")
    assert off.stdout.startswith("Enforcement is off: holdfast in holdfast-system refuses")
    await polling.eventually(lambda: "annotated" in closed())
    again = installed.run("holdfast", "off", "--reason", "me too", user="alice", check=False)
    assert again.returncode == 2
    assert "Enforcement is off already by alice since 20" in again.stdout
    assert ": INC-42: no sales" in again.stdout

    on = installed.run("holdfast", "on", user="alice")

    assert on.stdout == "Enforcement is on again.\n"
    await polling.eventually(lambda: NOBODY in closed())
    assert installed.run("holdfast", "on").stdout == "Enforcement was on already.\n"


def test_off_without_an_installation_or_a_reason_is_an_error(installed: released.Cluster) -> None:
    """A binding to a role that is not there would succeed and do nothing."""
    nowhere = installed.run("holdfast", "off", "--reason", "x", "--release", "other", check=False)
    assert nowhere.returncode == 2
    assert "There is no ClusterRole other-off at " in nowhere.stdout
    assert installed.run("holdfast", "off", "--reason", " ", check=False).returncode == 2


def test_another_binding_is_named_when_on_does_not_help(installed: released.Cluster) -> None:
    """As that of an uninstall that broke off."""
    create, kind, _, *rest = released.OFF
    installed.kubectl(create, kind, "holdfast-forgotten", *rest)
    try:
        on = installed.run("holdfast", "on", check=False)
    finally:
        installed.kubectl("delete", "clusterrolebinding", "holdfast-forgotten")

    assert on.returncode == 2
    assert "Enforcement is still off" in on.stdout


async def test_a_cluster_that_gives_all_accounts_all_rights_is_not_off(
    installed: released.Cluster, closed: Callable[[], str]
) -> None:
    """There the switch is without effect, and says so; nothing is closed either."""
    everything = ("--clusterrole=cluster-admin", "--group=system:serviceaccounts")
    installed.kubectl("create", "clusterrolebinding", "everything", *everything)
    try:
        # Neither off (the policy still refuses) nor closed (the edit passes).
        await polling.eventually(lambda: "annotated" in closed())
        assert installed.is_refused("label", "clusterrole", "holdfast-off", "a=b")
        off = installed.run("holdfast", "off", "--reason", "x", check=False)
    finally:
        installed.kubectl("delete", "clusterrolebinding", "everything")

    assert off.returncode == 2
    assert "enforcement is still on" in off.stdout
