"""Who may change what Holdfast itself consists of, with none of its processes running."""

import json

import pytest
from controlplane import chart
from support import polling, released

pytestmark = [pytest.mark.integration, pytest.mark.slow]

GUARD = f"system:serviceaccount:{chart.NAMESPACE}:holdfast-guard"
UNLOCK = "holdfast.dev/unlock"

OURS = (
    ["validatingwebhookconfiguration", "holdfast"],
    ["crd", "guards.holdfast.dev"],
    ["clusterrole", "holdfast-off"],
    ["clusterrolebinding", "holdfast-guard"],
    ["role", "holdfast-guard", "-n", chart.NAMESPACE],
    ["rolebinding", "holdfast-guard", "-n", chart.NAMESPACE],
)


def test_a_cluster_admin_is_refused_at_every_part(installed: released.Cluster) -> None:
    """Edits, deletes, taking our label away, an owner that would have it collected."""
    for what in OURS:
        kind, name, *where = what
        said = installed.is_refused("annotate", *what, "example.com/a=b")
        assert said.startswith("alice may not change "), what
        assert 'holdfast.dev/unlock="<why>"' in said
        assert installed.is_refused("delete", *what).startswith("alice may not delete "), what
        assert installed.is_refused("label", *what, "app.kubernetes.io/part-of-"), what
        owner = {"apiVersion": "v1", "kind": "Node", "name": "gone", "uid": "1"}
        patch = json.dumps({"metadata": {"ownerReferences": [owner]}})
        assert installed.is_refused("patch", kind, name, *where, "--type=merge", "-p", patch), what


def test_a_collection_is_refused_as_well(installed: released.Cluster) -> None:
    """Its reviews carry no name."""
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    selector = "labelSelector=app.kubernetes.io%2Fcomponent%3Dswitch"

    assert "clusterroles holdfast-off" in installed.is_refused(
        "delete", "--raw", f"{path}?{selector}"
    )


@pytest.mark.parametrize(
    "impersonation",
    [
        [f"--as={GUARD}"],
        [f"--as={GUARD}", "--as-uid=11111111-2222-3333-4444-555555555555"],
        ["--as=system:serviceaccount:cd:deployer", "--as-group=dev"],
        ["--as=system:serviceaccount:kube-system:namespace-controller", "--as-group=dev"],
    ],
)
def test_a_name_alone_opens_no_door(installed: released.Cluster, impersonation: list[str]) -> None:
    """Whoever only impersonates shows no credential."""
    groups = [] if "--as-group=dev" in impersonation else ["--as-group=dev"]

    assert installed.is_refused(
        "label", "clusterrole", "holdfast-off", "impersonated=yes", *impersonation, *groups
    )


def test_the_deployers_and_the_guard_process_pass(installed: released.Cluster) -> None:
    """A named person, a named service account with its own token, the guard's token."""
    account = installed.plane
    account.api.ensure("/api/v1/namespaces", {"metadata": {"name": "cd"}})
    deployer = account.add_service_account("cd", "deployer", role=None)
    binding = (
        "clusterrolebinding",
        "cd",
        "--clusterrole=cluster-admin",
        "--serviceaccount=cd:deployer",
    )
    installed.kubectl("create", *binding)
    try:
        installed.kubectl("label", "clusterrole", "holdfast-off", "a=b", user="deployer")
        installed.kubectl("label", "clusterrole", "holdfast-off", "a-", f"--kubeconfig={deployer}")
    finally:
        installed.kubectl("delete", "clusterrolebinding", "cd")
    guard = account.token_kubeconfig(chart.NAMESPACE, "holdfast-guard")
    patch = '{"metadata": {"annotations": {"example.com/guard": "b"}}}'
    what = ("validatingwebhookconfiguration", "holdfast", "--type=merge", "-p", patch)
    installed.kubectl("patch", *what, f"--kubeconfig={guard}")


@pytest.mark.parametrize(
    "attempt",
    [
        [f"{UNLOCK}="],
        [f"{UNLOCK}=why", "example.com/a=b"],
        [f"{UNLOCK}=why", "helm.sh/resource-policy-"],
    ],
)
def test_an_unlock_is_a_reason_and_nothing_else(
    installed: released.Cluster, attempt: list[str]
) -> None:
    """An empty one, or one together with another change, is refused."""
    assert installed.is_refused("annotate", "crd", "guards.holdfast.dev", *attempt)


def test_after_an_unlock_anything_passes_until_it_is_taken_away(
    installed: released.Cluster,
) -> None:
    """Of that one object; the others stay locked."""
    for what in OURS:
        annotate = ("annotate", *what)
        assert not installed.is_refused(*annotate, f"{UNLOCK}=INC-42")
        assert not installed.is_refused(*annotate, "example.com/a=b")
        assert not installed.is_refused(*annotate, "example.com/a-", f"{UNLOCK}-")
        assert installed.is_refused(*annotate, "example.com/a=b")


def test_what_changes_nothing_passes(installed: released.Cluster) -> None:
    """A pipeline may apply what is there."""
    assert not installed.is_refused("patch", "clusterrole", "holdfast-off", "-p", "{}")


def test_what_others_label_as_ours_stays_theirs(installed: released.Cluster) -> None:
    """Our label on something of another release, or in another namespace, protects nothing."""
    installed.kubectl("create", "clusterrole", "other", "--verb=get", "--resource=pods")
    part, instance = "app.kubernetes.io/part-of=holdfast", "app.kubernetes.io/instance=other"
    installed.kubectl("label", "clusterrole", "other", part, instance, user="alice")
    installed.kubectl("delete", "clusterrole", "other", user="alice")
    where = "--namespace=default"
    installed.kubectl("create", "role", "other", "--verb=get", "--resource=pods", where)
    installed.kubectl("label", "role", "other", part, where, user="alice")
    installed.kubectl("delete", "role", "other", where, user="alice")


def test_what_helm_deletes_after_an_install_is_not_protected(installed: released.Cluster) -> None:
    """The roles of the Job that applies the values' Guards: an install is for anybody."""
    where = f"--namespace={chart.NAMESPACE}"
    installed.kubectl("create", "role", "job", "--verb=get", "--resource=pods", where)
    part, component = "app.kubernetes.io/part-of=holdfast", "app.kubernetes.io/component=guards"
    installed.kubectl("label", "role", "job", part, component, where)

    assert not installed.is_refused("delete", "role", "job", where)


async def test_our_namespace_can_go(installed: released.Cluster) -> None:
    """The namespace controller deletes our roles in it; refused, it would try for ever."""
    installed.kubectl("delete", "namespace", chart.NAMESPACE, "--wait=false", user="alice")

    def gone() -> bool:
        return installed.kubectl("get", "ns", chart.NAMESPACE, check=False).returncode != 0

    await polling.eventually(gone, within_seconds=30, every_seconds=0.2)
    # Helm keeps its releases there.
    installed.kubectl("create", "namespace", chart.NAMESPACE)
    remains = ("clusterrole,clusterrolebinding,validatingwebhookconfiguration",)
    remains += ("-l", f"app.kubernetes.io/instance={chart.RELEASE}")
    installed.kubectl("delete", *remains, user="deployer")
    policies = "validatingadmissionpolicy,validatingadmissionpolicybinding"
    installed.kubectl("delete", policies, "holdfast-protection")
    installed.helm("install", values=released.VALUES)


async def test_the_garbage_collector_is_not_held_up(installed: released.Cluster) -> None:
    """What a deployer lets depend on something goes with it."""
    installed.kubectl("create", "clusterrole", "owner", "--verb=get", "--resource=pods")
    uid = installed.kubectl("get", "clusterrole", "owner", "-o", "jsonpath={.metadata.uid}").stdout
    owner = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    owners = [{**owner, "name": "owner", "uid": uid}]
    labels = {"app.kubernetes.io/part-of": "holdfast"}
    dependent = {
        **owner,
        "metadata": {"name": "dependent", "labels": labels, "ownerReferences": owners},
    }
    installed.kubectl("create", "-f", "-", stdin=json.dumps(dependent))
    assert installed.is_refused("delete", "clusterrole", "dependent")

    installed.kubectl("delete", "clusterrole", "owner")

    def gone() -> bool:
        return installed.kubectl("get", "clusterrole", "dependent", check=False).returncode != 0

    await polling.eventually(gone, within_seconds=30, every_seconds=0.2)
