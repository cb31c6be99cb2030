"""The chart of this checkout, installed on the node by helm as its users do."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controlplane import chart
from e2e import image, node

VALUES: Mapping[str, Any] = {
    "image": {
        "repository": image.NAME.rpartition(":")[0],
        "tag": image.NAME.rpartition(":")[2],
        "pullPolicy": "Never",  # there is no registry
    },
    # The node has no DNS; the kubelet puts the addresses of Services into the environment.
    "webhook": {"extraArgs": ["--intake-url=https://$(HOLDFAST_GUARD_SERVICE_HOST):9443"]},
    "guard": {
        "allowInsecureSources": True,  # the Git server of the tests speaks plain HTTP
        "persistence": {"enabled": False},  # the node has no storage class
        "rbac": {"wide": True, "escalate": True},
    },
}
"""What the node asks of the chart; a test's own values go over these, value by value."""


def install(
    running: node.Node,
    values: Mapping[str, Any] | None = None,
    *,
    folder: Path = chart.FOLDER,
    timeout_seconds: int = 120,
) -> None:
    """Install the chart, or upgrade to it, and wait until all of it is ready.

    ``folder`` holds the chart: that of this checkout, or a copy with another version.

    Raises CommandError with helm's words, which is also what a timeout does.
    """
    running.helm(
        "upgrade",
        "--install",
        chart.RELEASE,
        folder,
        f"--namespace={chart.NAMESPACE}",
        "--create-namespace",
        "--wait",
        f"--timeout={timeout_seconds}s",
        "--values=-",
        stdin=json.dumps(merged(VALUES, values or {})),
    )


def rollback(running: node.Node, *, timeout_seconds: int = 120) -> None:
    """Go back to the revision before, and wait until all of it is ready."""
    running.helm(
        "rollback",
        chart.RELEASE,
        f"--namespace={chart.NAMESPACE}",
        "--wait",
        f"--timeout={timeout_seconds}s",
    )


def uninstall(running: node.Node, *, timeout_seconds: int = 120) -> None:
    """Uninstall it, hooks included, and wait until its pods are gone."""
    running.helm(
        "uninstall",
        chart.RELEASE,
        f"--namespace={chart.NAMESPACE}",
        "--wait",
        f"--timeout={timeout_seconds}s",
    )


@contextlib.contextmanager
def installed(running: node.Node, values: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Have the chart installed as long as the context lasts."""
    try:
        install(running, values)
        yield
    finally:
        uninstall(running)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others as Helm does: objects key by key, anything else as a whole."""
    result = dict(under)
    for name, value in over.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[name] = merged(old, value)
        else:
            result[name] = value
    return result
