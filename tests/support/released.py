"""A control plane with the real helm, kubectl and holdfast as a person would run them."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from controlplane import chart, plane

_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_TOOLS = ("kubectl", "helm")
HOLDFAST = Path(sys.executable).with_name("holdfast")

SWITCH = f"--serviceaccount={chart.NAMESPACE}:{chart.RELEASE}-switch"
OFF = ("create", "clusterrolebinding", "holdfast-off", "--clusterrole=holdfast-off", SWITCH)


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """A control plane, and helm and holdfast for it."""

    plane: plane.ControlPlane
    home: Path

    def environment(self, user: str) -> dict[str, str]:
        """Give the environment of a person's shell."""
        tools = {str(HOLDFAST.parent), *(str(self.plane.binary(one).parent) for one in _TOOLS)}
        return {
            **self.plane.kubectl_environment(user),
            "PATH": os.pathsep.join([*sorted(tools), os.environ["PATH"]]),
            **{f"HELM_{kind}_HOME": str(self.home / kind) for kind in ("CACHE", "CONFIG", "DATA")},
        }

    def run(
        self, *command: str, user: str = "admin", stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a person; both streams are in stdout."""
        result = subprocess.run(
            command,
            env=self.environment(user),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or result.returncode == 0, f"{command}: {result.stdout}"
        return result

    def kubectl(
        self, *args: str, user: str = "admin", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""
        return self.run("kubectl", *args, user=user, **options)

    def helm(
        self,
        verb: str,
        *args: str,
        user: str = "admin",
        values: Mapping[str, Any] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run helm on our release; with ``values`` on our chart."""
        given = () if values is None else (str(chart.FOLDER), "--values=-")
        return self.run(
            *("helm", verb, chart.RELEASE, *given, f"--namespace={chart.NAMESPACE}", *args),
            user=user,
            stdin=json.dumps(values or {}),
            check=check,
        )

    def is_refused(self, *args: str, user: str = "alice") -> str:
        """Run kubectl; give what the policy says if it refuses, empty if the command works."""
        result = self.kubectl(*args, user=user, check=False)
        if result.returncode == 0:
            return ""
        assert "'holdfast-protection' denied request: " in result.stdout, result.stdout
        return result.stdout.partition(" denied request: ")[2]

    def wait_for_policy(self) -> None:
        """Wait until the API server enforces our policy: it learns of one a moment later."""
        probe = ("label", "clusterrole", "holdfast-off", "a=b", "--dry-run=server")
        self.wait_until(lambda: bool(self.is_refused(*probe)))

    def wait_until(self, probe: Callable[[], bool]) -> None:
        """Wait until something is so, from a test or fixture without an event loop."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not probe():
            assert time.monotonic() < deadline
            time.sleep(_POLL_SECONDS)


VALUES: Mapping[str, Any] = {
    "workloads": {"enabled": False},
    # Nobody listens on port 1.
    "webhook": {"url": "https://127.0.0.1:1/validate", "failurePolicy": "Fail"},
    "protection": {
        "deployers": {
            "users": ["deployer", "system:serviceaccount:cd:deployer"],
            "groups": ["system:masters"],
        }
    },
}
