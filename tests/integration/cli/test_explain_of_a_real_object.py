"""`holdfast explain` against a real API server."""

import json
import re
from typing import Any

import pytest

pytestmark = pytest.mark.integration

SYNCED = ("Ready", "True", "Synced", "1 object is as main@3f2c1d9 says")


def field_lines(text: str) -> dict[str, list[str]]:
    """Give the rows of the table by their path."""
    rows = [re.split(r" {2,}", line) for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) == 4}


async def test_an_object_in_order_shows_its_guard_and_fields(shop: Any, holdfast: Any) -> None:
    """Guard, source, file, revision and each declared field are shown; nothing secret is."""
    await shop.report_status(SYNCED, objects=1, synced=1)
    await shop.guard(shop.deployment(), "apps/web.yaml")

    result = holdfast("explain", "deploy/web", "-n", shop.namespace)

    assert result.stdout.splitlines()[:7] == [
        f"Deployment {shop.namespace}/web",
        "",
        f"  Guard      {shop.namespace}/shop-prod (mode Deny, drift is restored)",
        "  Source     https://git.example/shop.git#apps",
        "  File       apps/web.yaml",
        "  Revision   main@3f2c1d9",
        "  State      Synced",
    ]
    rows = field_lines(result.stdout)
    container = "spec.template.spec.containers[name=app]"
    assert rows["spec.replicas"] == ["3", "holdfast", "same"]
    assert rows[f"{container}.image"] == ["registry.example/web:1.2", "holdfast", "same"]
    assert rows[f"{container}.env[name=MODE].value"] == ["fast", "holdfast", "same"]
    assert rows[f"{container}.env[name=DB_PASSWORD].value"] == ["(secret)", "holdfast", "same"]
    assert "swordfish" not in result.stdout
    assert (result.returncode, result.stderr) == (0, "")


async def test_a_drifted_field_shows_its_new_owner_and_the_source(
    shop: Any, holdfast: Any, kubectl: Any
) -> None:
    """A field that somebody changed shows its value, who wrote it, and what the source says."""
    await shop.report_status(SYNCED, objects=1, synced=1)
    await shop.guard(shop.deployment(), "apps/web.yaml")
    kubectl("scale", "deploy/web", "--replicas=5", "-n", shop.namespace)
    kubectl("set", "image", "deploy/web", "app=registry.example/web:evil", "-n", shop.namespace)

    unreported = holdfast("explain", "deploy", "web", "-n", shop.namespace)
    await shop.report_drift(
        {
            "object": {
                "group": "apps",
                "version": "v1",
                "kind": "Deployment",
                "namespace": shop.namespace,
                "name": "web",
            },
            "state": "Drifted",
            "since": "2026-01-31T08:00:00Z",
            "message": "restoring is switched off",
            "fields": [{"path": "spec.replicas", "kind": "changed", "expected": "3", "live": "5"}],
        }
    )
    reported = holdfast("explain", "deploy", "web", "-n", shop.namespace)

    assert field_lines(unreported.stdout)["spec.replicas"] == ["5", "kubectl", "unknown"]
    assert "the guard process is away" in unreported.stdout
    rows = field_lines(reported.stdout)
    assert rows["spec.replicas"] == ["5", "kubectl", "3"]
    assert rows["spec.template.spec.containers[name=app].image"][:2] == [
        "registry.example/web:evil",
        "kubectl-set",
    ]
    assert "restoring is switched off" in reported.stdout
    assert (unreported.returncode, reported.returncode) == (1, 1)


async def test_a_secret_shows_no_value_in_any_format(shop: Any, holdfast: Any) -> None:
    """The values of a Secret are shown in no form, neither to people nor to programs."""
    await shop.guard(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "db", "namespace": shop.namespace},
            "data": {"password": "c3dvcmRmaXNo"},
        },
        "apps/db.yaml",
    )

    for form in ("wide", "yaml"):
        result = holdfast("explain", "secret/db", "-n", shop.namespace, "-o", form)

        assert "data.password" in result.stdout
        assert "(secret)" in result.stdout
        assert "c3dvcm" not in result.stdout
        assert result.returncode == 0


async def test_without_its_mark_the_inventory_still_tells(
    shop: Any, holdfast: Any, kubectl: Any
) -> None:
    """An object whose mark was taken away is still found, and so is one that was deleted."""
    await shop.guard(shop.deployment(), "apps/web.yaml")
    kubectl("label", "deploy/web", "holdfast.dev/guard-", "-n", shop.namespace)
    unmarked = holdfast("explain", "deploy/web", "-n", shop.namespace)
    kubectl("delete", "deploy/web", "-n", shop.namespace)
    deleted = holdfast("explain", "deploy/web", "-n", shop.namespace)

    assert f"Guard      {shop.namespace}/shop-prod" in unmarked.stdout
    assert "the object is missing from the cluster" in deleted.stdout
    assert field_lines(deleted.stdout)["spec.replicas"] == ["(none)", "-", "differs"]
    assert (unmarked.returncode, deleted.returncode) == (1, 1)


async def test_an_unguarded_object_is_an_error(shop: Any, holdfast: Any, kubectl: Any) -> None:
    """An object that nobody guards is one clear sentence, and so is one that does not exist."""
    kubectl("create", "configmap", "free", "-n", shop.namespace)

    free = holdfast("explain", "cm/free", "-n", shop.namespace)
    absent = holdfast("explain", "cm/absent", "-n", shop.namespace)
    unknown = holdfast("explain", "gadget/x", "-n", shop.namespace)

    place = shop.namespace
    assert free.stderr == (f"Error: ConfigMap {place}/free is not guarded: no Guard declares it.\n")
    assert absent.stderr == (
        f"Error: There is no ConfigMap {place}/absent, and no Guard declares one.\n"
    )
    assert unknown.stderr == "Error: The API server knows no kind gadget.\n"
    assert {free.returncode, absent.returncode, unknown.returncode} == {2}


async def test_json_tells_all_of_it(shop: Any, holdfast: Any) -> None:
    """JSON has the object with its uid, and the owners of each field with operation and time."""
    response = await shop.guard(shop.deployment(), "apps/web.yaml")

    result = holdfast("explain", "deploy/web", "-n", shop.namespace, "-o", "json")

    told = json.loads(result.stdout)
    (replicas,) = [field for field in told["fields"] if field["path"] == "spec.replicas"]
    (owner,) = replicas["owners"]
    assert told["object"]["uid"] == response["metadata"]["uid"]
    assert (replicas["value"], replicas["fits"]) == (3, "same")
    assert (owner["operation"], owner["subresource"]) == ("Apply", "")
