"""The chart as helm renders it, and a control plane of its own on which helm installs it."""

import asyncio
import dataclasses
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from controlplane import binaries, plane
from controlplane import chart as chart_module
from support import polling

Objects = dict[tuple[str, str], dict[str, Any]]

HELM_SECONDS = 120.0

EVERYTHING: Mapping[str, Any] = {
    "image": {"registry": "registry.example:5000", "repository": "team/holdfast", "tag": "1.2.3"},
    "imagePullSecrets": [{"name": "login"}],
    "commonLabels": {"team": "platform", "cost-centre": "42"},
    "log": {"level": "debug", "format": "console"},
    "guards": [
        {"name": "shop", "namespace": "shop", "spec": {"source": {"git": {"url": "https://x/y"}}}},
        {"name": "own", "labels": {"a": "b"}, "spec": {"source": {"git": {"url": "https://x/z"}}}},
    ],
    "networkPolicy": {
        "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
        "webhook": {"cidrs": ["10.0.0.0/24"], "extraEgress": [{"ports": [{"port": 5353}]}]},
        "guard": {"git": {"cidrs": ["192.0.2.0/24", "2001:db8::/32"], "ports": [2222]}},
        "metrics": {"from": [{"namespaceSelector": {}}]},
    },
    **{
        part: {
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "infra", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {}},
            "annotations": {"on.example/workload": "1"},
            "podLabels": {"pod": "label"},
            "podAnnotations": {"on.example/pod": "1"},
            "service": {"annotations": {"on.example/service": "1"}},
            "serviceAccount": {"annotations": {"on.example/account": "1"}},
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "extraArgs": ["--no-uvloop"],
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
            **own,
        }
        for part, own in {
            "webhook": {"replicas": 3, "failurePolicy": "Fail"},
            "guard": {"allowInsecureSources": True},
        }.items()
    },
}
"""Values that switch on and fill in all there is for pods."""


@pytest.fixture(scope="session", autouse=True)
def _helm() -> None:
    """Build helm once, if nothing has."""
    binaries.ensure(("helm",))


@pytest.fixture
def everything() -> Mapping[str, Any]:
    """Give values that switch on and fill in all there is for pods."""
    return EVERYTHING


@pytest.fixture
def rendered() -> Callable[..., Objects]:
    """Give ``rendered(**values)``: the objects by kind and name; hooks only where asked for."""

    def render(*, hooks: bool = False, **values: Any) -> Objects:
        documents = [one for one in yaml.safe_load_all(chart_module.render(values)) if one]
        return {
            (one["kind"], one["metadata"]["name"]): one
            for one in documents
            if hooks or "helm.sh/hook" not in (one["metadata"].get("annotations") or {})
        }

    return render


@dataclasses.dataclass(frozen=True, slots=True)
class Helm:
    """The real helm on a real API server. Without nodes pods are admitted and stay pending."""

    plane: plane.ControlPlane
    folder: Path

    def __call__(
        self, *args: str, values: Mapping[str, Any] | None = None, user: str = "admin"
    ) -> subprocess.CompletedProcess[str]:
        """Run helm to its end; ``values`` go to a command that takes them."""
        with self.start(*args, values=values, user=user) as process:
            stdout, stderr = process.communicate(timeout=HELM_SECONDS)
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)

    def start(
        self, *args: str, values: Mapping[str, Any] | None = None, user: str = "admin"
    ) -> subprocess.Popen[str]:
        """Start helm: with Guards in the values it waits for a Job, which no node runs here."""
        given = []
        if values is not None:
            file = self.folder / "values.json"
            file.write_text(json.dumps(values))
            given = [f"--values={file}"]
        return subprocess.Popen(
            [self.plane.binary("helm"), *args, *given, f"--namespace={chart_module.NAMESPACE}"],
            env={**self.plane.kubectl_environment(user), "HELM_CACHE_HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def upgrade(
        self, *flags: str, values: Mapping[str, Any] | None = None, user: str = "admin"
    ) -> None:
        """Install or upgrade the release, which must succeed."""
        command = ("upgrade", "--install", chart_module.RELEASE, str(chart_module.FOLDER))
        done = self(*command, *flags, values=values or {}, user=user)
        assert done.returncode == 0, done.stderr

    def pods(self, component: str, count: int) -> list[dict[str, Any]]:
        """Wait until so many pods of a component wait for a node; give them."""
        where = f"--namespace={chart_module.NAMESPACE}"
        pending = "--field-selector=status.phase=Pending"
        selector = f"--selector=app.kubernetes.io/component={component}"

        def probe() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = self.get("pods", where, selector, pending)["items"]
            return found if len(found) == count else None

        found: list[dict[str, Any]] = asyncio.run(polling.eventually(probe))
        return found

    def get(self, *args: str) -> Any:
        """Give what `kubectl get` finds, parsed."""
        return json.loads(self.plane.kubectl("get", *args, "--output=json").stdout)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    """Give helm, and a control plane of its own with the namespace, which is a restricted one."""
    folder = tmp_path_factory.mktemp("helm")
    with plane.ControlPlane(folder / "plane") as control_plane:
        restricted = {
            f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")
        }
        control_plane.api.ensure(
            "/api/v1/namespaces",
            {"metadata": {"name": chart_module.NAMESPACE, "labels": restricted}},
        )
        yield Helm(control_plane, folder)
