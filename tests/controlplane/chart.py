"""The chart of this checkout, rendered by helm and applied: the one source of every manifest."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controlplane import binaries, errors, plane

FOLDER = Path(__file__).parents[2] / "charts" / "holdfast"
NAMESPACE = "holdfast-system"
RELEASE = "holdfast"

VALUES: Mapping[str, Any] = {
    # Sources in tests hold Secrets, custom resources and RBAC too.
    "guard": {"rbac": {"wide": True, "escalate": True}},
    "webhook": {"enabled": False},
    # What would run in pods runs as processes.
    "workloads": {"enabled": False},
}
"""Values for tests: the guard process may guard every kind, and nothing is judged at admission."""

_HELM_FLAGS = (
    f"--namespace={NAMESPACE}",
    f"--kube-version={binaries.kubernetes_version()}",
    "--values=-",
)
_RENDER_SECONDS = 60.0
_CRD_PREFIX = "customresourcedefinition.apiextensions.k8s.io/"


def render(values: Mapping[str, Any], *, hooks: bool = True) -> str:
    """Render the chart with these values over its defaults; give a stream of YAML documents.

    Hooks are what Helm applies at moments of its own, as before an uninstall. Raises CommandError
    with helm's words if it does not render.
    """
    flags = _HELM_FLAGS if hooks else (*_HELM_FLAGS, "--no-hooks")
    helm = subprocess.run(
        [binaries.locate("helm"), "template", RELEASE, FOLDER, *flags],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=_RENDER_SECONDS,
        check=False,
    )
    if helm.returncode != 0:
        message = f"`helm template` exited with {helm.returncode}:\n{errors.tail(helm.stderr)}"
        raise errors.CommandError(message)
    return helm.stdout


def install(control_plane: plane.ControlPlane, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Render the chart, apply it, and wait until its custom resources can be used.

    Gives what was applied, as ``kind.group/name``. Values that switch something off do not delete
    what an earlier call has applied.
    """
    manifests = render(values, hooks=False)
    control_plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    applied = control_plane.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--filename=-",
        "--output=name",
        stdin=manifests,
    ).stdout.split()
    definitions = [name for name in applied if name.startswith(_CRD_PREFIX)]
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *definitions)
    return tuple(applied)


@contextlib.contextmanager
def webhook_at(control_plane: plane.ControlPlane, url: str) -> Iterator[None]:
    """Have admission judged by a webhook at this https URL, as long as the context lasts.

    There is one configuration for the whole control plane, so it must not outlive its test.
    """
    install(control_plane, {**VALUES, "webhook": {"enabled": True, "url": url}})
    try:
        yield
    finally:
        control_plane.kubectl("delete", "validatingwebhookconfiguration", RELEASE)
