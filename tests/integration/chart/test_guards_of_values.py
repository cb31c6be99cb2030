"""Guards in the values: the real helm, and the Job's pod run as a node would run it."""

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from controlplane import chart as chart_module
from controlplane import plane

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAMESPACE = chart_module.NAMESPACE
UPGRADE = ("upgrade", "--install", chart_module.RELEASE, str(chart_module.FOLDER))

# What the container runs, but for the account, which comes from a kubeconfig here.
PROGRAM = """
import sys
from guard.cli import apply
sys.exit(apply.apply_command.main(sys.argv[1:], standalone_mode=False))
"""

Run = Callable[[list[dict[str, Any]]], str]


def guards(*names: str, namespace: str, ref: str = "main", **spec: Any) -> list[dict[str, Any]]:
    """Give Guards as values hold them."""
    source = {"git": {"url": "https://git.example/shop.git", "ref": ref}}
    return [
        {"name": name, "namespace": namespace, "spec": {"source": source, **spec}} for name in names
    ]


@pytest.fixture
def shop(helm: Any) -> str:
    """Make a namespace on helm's control plane; give its name."""
    name = f"shop-{uuid.uuid4().hex[:8]}"
    helm.plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def upgrade(helm: Any, tmp_path: Path) -> Run:
    """Give ``upgrade(guards)``: runs helm to its end, and gives what the Job's pod said."""
    control_plane: plane.ControlPlane = helm.plane

    def run_pod(pod: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        (container,) = pod["spec"]["containers"]
        assert container["args"] == ["apply", "/etc/holdfast/guards.json"]
        secret = helm.get("secret/holdfast-guards", f"--namespace={NAMESPACE}")
        file = tmp_path / "guards.json"
        file.write_bytes(base64.b64decode(secret["data"]["guards.json"]))
        account = control_plane.token_kubeconfig(NAMESPACE, pod["spec"]["serviceAccountName"])
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, file, "--kubeconfig", account],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        status = {"status": {"phase": "Failed" if ran.returncode else "Succeeded"}}
        control_plane.kubectl(
            "patch",
            f"pod/{pod['metadata']['name']}",
            f"--namespace={NAMESPACE}",
            "--subresource=status",
            "--type=merge",
            f"--patch={json.dumps(status)}",
        )
        return ran

    def run(wanted: list[dict[str, Any]]) -> str:
        with helm.start(*UPGRADE, values={"guards": wanted}) as process:
            (pod,) = helm.pods("guards", 1)
            ran = run_pod(pod)
            if ran.returncode:
                # It would be tried again, for a while.
                deadline = '--patch={"spec": {"activeDeadlineSeconds": 1}}'
                job = ("job/holdfast-guards", f"--namespace={NAMESPACE}")
                control_plane.kubectl("patch", *job, "--type=merge", deadline)
            _, told = process.communicate(timeout=60)
        assert (process.returncode == 0) == (ran.returncode == 0), told
        return ran.stdout + ran.stderr

    return run


def standing(helm: Any, namespace: str) -> dict[str, dict[str, Any]]:
    """Give the Guards in the namespace by name."""
    return {
        one["metadata"]["name"]: one
        for one in helm.get("guards", f"--namespace={namespace}")["items"]
    }


def test_guards_of_the_values_outlive_upgrades(helm: Any, upgrade: Run, shop: str) -> None:
    """Applied, changed, let go of, and never made anew: their inventories hang on their uid."""
    told = upgrade(guards("one", "two", namespace=shop))
    assert told == f"Guard {shop}/one is applied.\nGuard {shop}/two is applied.\n"
    first = standing(helm, shop)
    assert set(first) == {"one", "two"}

    upgrade(guards("one", namespace=shop, ref="release"))

    second = standing(helm, shop)
    for name in ("one", "two"):
        assert second[name]["metadata"]["uid"] == first[name]["metadata"]["uid"]
    assert second["one"]["spec"]["source"]["git"]["ref"] == "release"
    # What the Job needed is gone with it.
    for kind, namespace in (("role", shop), ("secret", NAMESPACE), ("serviceaccount", NAMESPACE)):
        found = helm.get(kind, f"--namespace={namespace}")["items"]
        assert "holdfast-guards" not in {one["metadata"]["name"] for one in found}


def test_an_impossible_guard_is_named_and_the_others_are_applied(
    helm: Any, upgrade: Run, shop: str
) -> None:
    """Helm says that the Job failed; its pod says why."""
    wanted = [
        *guards("wrong", namespace=shop, drift={"restor": True}),
        *guards("right", namespace=shop),
    ]

    told = upgrade(wanted)

    assert f"Guard {shop}/right is applied.\n" in told
    assert f"Error: Guard {shop}/wrong is not applied: " in told
    assert "spec.drift.restor is unknown; did you mean restore?" in told
    assert "wrong" not in standing(helm, shop)
