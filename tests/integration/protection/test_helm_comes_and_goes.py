"""Install, upgrade, rollback and uninstall by the real helm, by deployers and by others."""

import json

import pytest
from controlplane import chart
from support import released

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KINDS = (
    "clusterrole,clusterrolebinding,validatingwebhookconfiguration,validatingadmissionpolicy,"
    "validatingadmissionpolicybinding,crd"
)
SUBJECT = {"kind": "ServiceAccount", "name": "holdfast-switch", "namespace": chart.NAMESPACE}


def ours(cluster: released.Cluster) -> list[str]:
    """Give what is called after us in the whole cluster."""
    listed = cluster.kubectl("get", KINDS, "-o", "name").stdout.split()
    return [name for name in listed if "holdfast" in name and "holdfast-test-dev" not in name]


def test_three_times_nothing_but_definitions_remains(own_cluster: released.Cluster) -> None:
    """Uninstalled by a cluster admin who is no deployer, without a pod to help."""
    for _ in range(3):
        own_cluster.helm("install", "--create-namespace", values=released.VALUES, user="alice")
        own_cluster.wait_for_policy()
        own_cluster.helm("uninstall", user="alice")

        definitions = [
            f"{plural}.holdfast.dev" for plural in ("driftreports", "guards", "inventories")
        ]
        prefix = "customresourcedefinition.apiextensions.k8s.io/"
        assert ours(own_cluster) == [prefix + name for name in definitions]
        namespaced = ("role,rolebinding,serviceaccount,secret", "-o", "name")
        left = own_cluster.kubectl("get", *namespaced, f"--namespace={chart.NAMESPACE}").stdout
        assert left.split() == ["serviceaccount/default"]


def test_what_was_switched_off_goes_with_the_release(own_cluster: released.Cluster) -> None:
    """Else the next install would be off, and nobody would know."""
    own_cluster.helm("install", "--create-namespace", values=released.VALUES)
    own_cluster.run("holdfast", "off", "--reason", "x")
    own_cluster.helm("uninstall", user="alice")

    def gone() -> bool:
        return not any(name.endswith("/holdfast-off") for name in ours(own_cluster))

    own_cluster.wait_until(gone)


def test_an_uninstall_that_broke_off_leaves_no_next_install_off(
    own_cluster: released.Cluster,
) -> None:
    """The next install clears away what the hooks have left."""
    role = ("clusterrole", "holdfast-off-uninstall", "--verb=off")
    own_cluster.kubectl("create", *role, "--resource=configmaps")
    binding = ("clusterrolebinding", "holdfast-off-uninstall")
    own_cluster.kubectl("create", *binding, "--clusterrole=holdfast-off-uninstall", released.SWITCH)

    own_cluster.helm("install", "--create-namespace", values=released.VALUES)

    assert not any("off-uninstall" in name for name in ours(own_cluster))
    own_cluster.helm("uninstall")


def subjects(cluster: released.Cluster) -> list[dict[str, str]]:
    """Give who stands in the binding that says closed."""
    args = ("get", "clusterrolebinding", "holdfast-fail-closed", "-o", "json")
    found: list[dict[str, str]] = json.loads(cluster.kubectl(*args).stdout).get("subjects") or []
    return found


def policies(cluster: released.Cluster) -> dict[str, str]:
    """Give the failurePolicy of each entry of the webhook configuration."""
    args = ("get", "validatingwebhookconfiguration", "holdfast", "-o", "json")
    entries = json.loads(cluster.kubectl(*args).stdout)["webhooks"]
    return {entry["name"]: entry["failurePolicy"] for entry in entries}


@pytest.mark.parametrize("server_side", [False, True], ids=["merged", "applied server-side"])
def test_open_at_first_and_no_upgrade_or_rollback_touches_it(
    own_cluster: released.Cluster, *, server_side: bool
) -> None:
    """Neither Helm's three-way merge nor a server-side apply, as of Flux, Argo CD and Helm 4."""
    values = released.VALUES
    louder = {**values, "commonLabels": {"example.com/team": "red"}}
    own_cluster.helm("install", "--create-namespace", values=values)
    try:
        assert subjects(own_cluster) == []
        close = json.dumps({"subjects": [SUBJECT]})
        patch = ("patch", "clusterrolebinding", "holdfast-fail-closed", "--type=merge", "-p", close)
        if server_side:
            apply = ("apply", "--server-side", "--field-manager=helm", "-f", "-")
            force = "--force-conflicts"  # takes over from `helm install`
            own_cluster.kubectl(*apply, force, stdin=chart.render(values, hooks=False))
            own_cluster.kubectl(*patch)
            own_cluster.kubectl(*apply, stdin=chart.render(louder, hooks=False))
        else:
            own_cluster.kubectl(*patch)
            own_cluster.helm("upgrade", values=louder)
            own_cluster.helm("rollback", "1")

        assert subjects(own_cluster) == [SUBJECT]
        assert policies(own_cluster) == {
            "objects.holdfast.dev": "Ignore",
            "closed.objects.holdfast.dev": "Fail",
            "scale.holdfast.dev": "Ignore",
        }
        opened = {**values["webhook"], "failurePolicy": "Ignore"}
        own_cluster.helm("upgrade", values={**values, "webhook": opened})
        assert set(policies(own_cluster).values()) == {"Ignore"}
    finally:
        own_cluster.helm("uninstall")


def test_a_raw_apply_with_the_hooks_in_it_switches_nothing_off(
    own_cluster: released.Cluster,
) -> None:
    """`helm template | kubectl apply` applies what is meant for the uninstall too."""
    own_cluster.plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": chart.NAMESPACE}})
    manifests = chart.render(released.VALUES)
    own_cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)
    try:
        account = f"--as=system:serviceaccount:{chart.NAMESPACE}:holdfast-switch"
        question = ("auth", "can-i", "off", "enforcement.holdfast.dev", account)
        assert own_cluster.kubectl(*question, check=False).stdout.split()[-1] == "no"
    finally:
        own_cluster.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=manifests)
