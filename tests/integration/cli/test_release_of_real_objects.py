"""`holdfast release` against a real API server."""

import json
from typing import Any

import pytest

from guard.api import names
from guard.cluster import objects as verbs

pytestmark = pytest.mark.integration


def config_map(namespace: str) -> dict[str, Any]:
    """Make a ConfigMap's manifest."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "conf", "namespace": namespace},
        "data": {"level": "info"},
    }


async def read(shop: Any, group: str, kind: str, name: str) -> dict[str, Any]:
    """Read an object of the test's namespace."""
    resource = await shop.resource(group, kind)
    return await verbs.get(shop.client, resource, shop.namespace, name)


async def left_of_us(shop: Any) -> list[dict[str, Any]]:
    """Give the Guards, Inventories and DriftReports of the test's namespace."""
    found = []
    for kind in ("Guard", "Inventory", "DriftReport"):
        resource = await shop.resource(names.GROUP, kind)
        found += await verbs.list_all(shop.client, resource, namespace=shop.namespace)
    return found


def row(text: str, shop: Any) -> list[str]:
    """Give the numbers of the Guard in the table."""
    lines = [line.split() for line in text.splitlines()]
    return next(line[1:] for line in lines if line[0] == f"{shop.namespace}/shop-prod")


async def test_only_what_is_ours_goes_and_a_second_run_finds_nothing(
    shop: Any, holdfast: Any, kubectl: Any
) -> None:
    """Mark, managed fields, inventory, report and Guard go; values and others' fields stay."""
    await shop.guard(shop.deployment(), "apps/web.yaml")
    await shop.guard(config_map(shop.namespace), "conf.yaml")
    await shop.report_drift()
    kubectl("annotate", "deploy", "web", "team=shop", "-n", shop.namespace)
    before = await read(shop, "apps", "Deployment", "web")

    result = holdfast("release", "shop-prod", "-n", shop.namespace)

    assert (result.returncode, result.stderr) == (0, "")
    assert row(result.stdout, shop) == ["2", "2", "0"]
    after = await read(shop, "apps", "Deployment", "web")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "labels" not in after["metadata"]
    assert after["metadata"]["annotations"]["team"] == "shop"
    managers = {one["manager"] for one in after["metadata"]["managedFields"]}
    assert "kubectl-annotate" in managers
    assert "holdfast" not in str(after)
    conf = await read(shop, "", "ConfigMap", "conf")
    assert conf["data"] == {"level": "info"}
    assert "holdfast" not in str(conf)
    assert "managedFields" not in conf["metadata"]
    assert await left_of_us(shop) == []

    again = holdfast("release", "shop-prod", "-n", shop.namespace)

    assert (again.returncode, row(again.stdout, shop)) == (0, ["0", "0", "0"])
    assert await read(shop, "", "ConfigMap", "conf") == conf


async def test_a_dry_run_changes_nothing(shop: Any, holdfast: Any) -> None:
    """It tells how many objects there are."""
    stored = await shop.guard(config_map(shop.namespace), "conf.yaml")

    result = holdfast("release", "--all", "-n", shop.namespace, "--dry-run")

    assert (result.returncode, row(result.stdout, shop)) == (0, ["1", "-", "0"])
    assert await read(shop, "", "ConfigMap", "conf") == stored
    assert len(await left_of_us(shop)) == 2


async def test_marks_are_found_without_guard_and_inventory(
    shop: Any, holdfast: Any, kubectl: Any
) -> None:
    """After somebody has deleted both, the marks still tell."""
    await shop.guard(config_map(shop.namespace), "conf.yaml")
    kubectl("delete", "inventories,guards", "--all", "-n", shop.namespace)

    result = holdfast("release", "--all", "-n", shop.namespace, "--yes")

    assert row(result.stdout, shop) == ["1", "1", "0"]
    assert "holdfast" not in str(await read(shop, "", "ConfigMap", "conf"))


async def test_a_failure_is_told_and_the_inventory_kept_for_the_next_run(
    shop: Any, holdfast: Any, kubectl: Any, service_account: Any
) -> None:
    """Who may touch only some kinds, in one namespace, lets go of these; the next run goes on."""
    await shop.guard(config_map(shop.namespace), "conf.yaml")
    await shop.guard(shop.deployment(), "apps/web.yaml")
    role = f"release-{shop.namespace}"
    rules = [
        {"apiGroups": [names.GROUP], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    kubectl("create", "-f-", stdin=json.dumps({**meta, "metadata": {"name": role}, "rules": rules}))
    account = str(service_account("tenant", role=role))

    result = holdfast("release", "shop-prod", "-n", shop.namespace, env={"KUBECONFIG": account})

    kubectl("delete", "clusterrole", role)
    assert (result.returncode, row(result.stdout, shop)) == (2, ["2", "1", "1"])
    assert f"Error: ConfigMap {shop.namespace}/conf: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "holdfast" not in str(await read(shop, "apps", "Deployment", "web"))
    assert [one["kind"] for one in await left_of_us(shop)] == ["Inventory"]

    again = holdfast("release", "--all", "-n", shop.namespace)

    assert (again.returncode, row(again.stdout, shop)) == (0, ["1", "1", "0"])
    assert await left_of_us(shop) == []
