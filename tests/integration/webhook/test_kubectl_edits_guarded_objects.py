"""Real kubectl, as alice, before a real API server and the whole webhook process."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support import polling

from guard.api.verdicts import Verdict

pytestmark = pytest.mark.integration

House = Any
"""The House of this folder's conftest, which tests cannot import."""


@pytest.fixture
async def shop(house: House) -> House:
    """Give a house with a guarded ConfigMap and Deployment, whose denials work."""
    await house.guard("Deny")
    await house.adopt((house.config_map(), "configmaps"), (house.deployment(), "deployments"))
    await house.refused("label", "configmap/conf", "holdfast.dev/guard-", "--dry-run=server")
    return house


async def test_every_way_of_editing_is_refused(shop: House, tmp_path: Path) -> None:
    """Edit, scale, set image, label, patch, replace, apply, delete: each prints the reason."""
    table = await shop.refused("scale", "deploy/web", "--replicas=5")
    assert table == textwrap.dedent(
        f"""\
        Error from server (Forbidden): admission webhook "scale.holdfast.dev" denied the request: \
{shop.namespace}/web is managed from Git

          spec.replicas   Git 3   yours 5

          Source      https://git.example/shop.git, apps/web.yaml (Guard shop-prod)
          To change   edit that file; it is applied within seconds of the push
        """
    )
    edit = await shop.refused(
        "edit", "configmap/conf", KUBE_EDITOR="sed -i s/level:.info/level:\\ debug/"
    )
    assert "\n  data.level   Git info   yours debug\n" in edit
    image = await shop.refused("set", "image", "deploy/web", "app=registry.example/web:1.28")
    assert (
        "  spec.template.spec.containers[name=app].image"
        "   Git registry.example/web:1.27   yours registry.example/web:1.28\n"
    ) in image
    label = await shop.refused("label", "deploy/web", "tier=back", "--overwrite")
    assert "  metadata.labels.tier   Git front   yours back\n" in label
    unlabel = await shop.refused("label", "deploy/web", "tier-")
    assert "  metadata.labels.tier   Git front   yours (absent)\n" in unlabel
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "1"}
    status = await shop.refused(
        "patch",
        "deploy/web",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'metadata': {'ownerReferences': [owner]}})}",
    )
    assert "metadata.ownerReferences[uid=" in status
    manifest = tmp_path / "conf.json"
    manifest.write_text(json.dumps(shop.config_map(level="debug")))
    for verb in (
        ("apply",),
        ("apply", "--server-side", "--force-conflicts"),
        ("replace",),
        ("apply", "--dry-run=server"),
    ):
        told = await shop.refused(*verb, f"--filename={manifest}")
        assert re.search(r"^  data.level +Git info +yours debug$", told, re.MULTILINE), verb
    delete = await shop.refused("delete", "configmap/conf", "deploy/web")
    assert delete.count("  deleting it is refused\n") == 2

    assert (await shop.run("get", "configmap/conf", "-o=jsonpath={.data.level}")).stdout == "info"
    found = [
        record
        for record in shop.records()
        if record.verdict == Verdict.DENIED and not record.dry_run
    ]
    assert {record.user for record in found} == {"alice"}
    assert {record.operation for record in found} == {"UPDATE", "DELETE"}
    assert {record.guard for record in found} == {f"{shop.namespace}/shop-prod"}
    assert any(record.dry_run for record in shop.records())


async def test_what_is_not_declared_passes(shop: House) -> None:
    """Other fields, other objects, and the very manifest of the source."""
    await shop.passes("annotate", "deploy/web", "note=x")
    await shop.passes("rollout", "restart", "deploy/web")
    await shop.passes("create", "configmap", "plain", "--from-literal=a=1")
    await shop.passes("patch", "configmap/plain", "--type=merge", '--patch={"data":{"a":"2"}}')
    await shop.passes("delete", "configmap/plain")
    await shop.passes("apply", "--filename=-", stdin=json.dumps(shop.config_map()))


async def test_controllers_go_on(shop: House) -> None:
    """Status is written, pods are made, and a namespace with guarded objects can go."""
    await shop.passes(
        "wait", "deploy/web", "--for=jsonpath={.status.unavailableReplicas}=3", "--timeout=20s"
    )
    await shop.passes("get", "replicasets", "-o=name")
    await shop.passes("delete", "namespace", shop.namespace, "--timeout=40s", user="admin")
    await shop.passes("create", "namespace", shop.namespace, user="admin")  # its fixture's to end


async def test_flag_mode_warns(shop: House) -> None:
    """The edit passes with warnings, and is on record."""
    await shop.guard("Flag")

    told = await _until_it_passes(shop, "scale", "deploy/web", "--replicas=4")

    assert (
        f"Warning: {shop.namespace}/web is managed from Git (apps/web.yaml, Guard shop-prod):"
        " this change will be undone\n"
    ) in told
    assert "Warning: spec.replicas: Git 3, yours 4\n" in told
    assert any(record.verdict == Verdict.FLAGGED for record in shop.records())


async def test_bringing_it_back_is_allowed(shop: House) -> None:
    """What went wrong in Audit mode may be put right by anybody in Deny mode."""
    await shop.guard("Audit")
    told = await _until_it_passes(
        shop, "patch", "configmap/conf", "--type=merge", '--patch={"data":{"level":"warn"}}'
    )
    assert "Warning" not in told
    await shop.guard("Deny")
    worse = ("patch", "configmap/conf", "--type=merge", '--patch={"data":{"level":"debug"}}')
    assert "live warn   yours debug" in await shop.refused(*worse)

    await shop.passes(
        "patch", "configmap/conf", "--type=merge", '--patch={"data":{"level":"info"}}'
    )


async def test_impersonating_the_guard_is_refused(shop: House) -> None:
    """`--as` carries the name but not the uid."""
    told = await shop.refused(
        "patch",
        "configmap/conf",
        "--type=merge",
        '--patch={"data":{"level":"debug"}}',
        "--as=system:serviceaccount:holdfast-system:holdfast-guard",
        user="admin",
    )

    assert "yours debug" in told


async def test_it_is_ready_and_measured(shop: House) -> None:
    """Over the TLS port itself."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{shop.url}/readyz", ssl=False) as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        async with session.get(f"{shop.url}/metrics", ssl=False) as response:
            text = await response.text()

    assert 'holdfast_webhook_cache_age_seconds{cache="guards"}' in text
    assert 'verdict="Denied"' in text


async def _until_it_passes(shop: House, *args: str) -> str:
    """Run kubectl until the webhook has seen the Guard's new mode; give what it printed."""

    async def probe() -> str:
        result = await shop.run(*args)
        assert result.returncode == 0, result.stderr
        return str(result.stdout + result.stderr)

    return await polling.eventually(probe)
