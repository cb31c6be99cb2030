"""Holdfast beside a control plane: the chart applied, webhook and guard as processes.

What a cluster does with pods, this does with processes: each runs the installed `holdfast` command
under its own service account with a real token. Tests, the demo and the benchmarks share it.
"""

import contextlib
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from controlplane import chart, errors, plane, process

HOLDFAST = Path(sys.executable).with_name("holdfast")

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.02
_GRACE_SECONDS = 10.0
_COMMAND_SECONDS = 60.0
_CONFIGURATION = (
    f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{chart.RELEASE}"
)


class Installation:
    """One installation of Holdfast; state and logs lie in ``folder``.

    Nothing runs before `start`, or `start_guard` and `start_webhook`. Use it as a context manager,
    or call `stop`. There is one webhook configuration for the whole control plane, so two of these
    cannot exist at once.

    ``values`` go to the chart, over those of all tests.
    """

    def __init__(
        self,
        control_plane: plane.ControlPlane,
        folder: Path,
        *,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self.plane = control_plane
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.webhook_port, self.metrics_port = plane.free_ports(2)
        self.guard: process.Child | None = None
        self.webhook: process.Child | None = None
        url = f"https://127.0.0.1:{self.webhook_port}/validate"
        chart.install(
            control_plane,
            {**chart.VALUES, "webhook": {"enabled": True, "url": url}, **(values or {})},
        )
        self._family = process.Family()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start both, and wait until the webhook is served and called."""
        self.start_guard()
        self.start_webhook()

    def start_guard(self) -> None:
        """Start the guard process; it makes the webhook's certificate."""
        self.guard = self._start("guard", "--allow-insecure-sources", "--webhook-host", "127.0.0.1")

    def start_webhook(self) -> None:
        """Start the webhook and wait until it says that it is ready."""
        self.webhook = self._start(
            "webhook",
            *("--host", "127.0.0.1", "--port", str(self.webhook_port)),
            *("--metrics-port", str(self.metrics_port)),
        )
        self._wait("the webhook is ready", self._is_ready)

    def stop_guard(self, *, kill: bool = False) -> None:
        """End the guard process by SIGTERM, or by SIGKILL."""
        self._end(self.guard, kill=kill)
        self.guard = None

    def stop_webhook(self, *, kill: bool = False) -> None:
        """End the webhook by SIGTERM, or by SIGKILL."""
        self._end(self.webhook, kill=kill)
        self.webhook = None

    def stop(self) -> None:
        """End both, and let nothing be judged any more."""
        self._family.close(grace_seconds=_GRACE_SECONDS)
        self.guard = self.webhook = None
        # A control plane that is gone already has no configuration either.
        with contextlib.suppress(OSError, errors.ApiError):
            self.plane.api.request("DELETE", _CONFIGURATION)

    def holdfast(
        self, *args: str, user: str = "admin", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the `holdfast` command as a person.

        Raises CommandError if ``check`` is set and it ends with another status than 0 and 1.
        """
        result = subprocess.run(
            [HOLDFAST, *args],
            env=self.environment(user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if check and result.returncode not in {0, 1}:
            message = f"`holdfast {' '.join(args)}` exited with {result.returncode}:\n"
            raise errors.CommandError(message + errors.tail(result.stderr))
        return result

    def environment(self, user: str) -> dict[str, str]:
        """Give the environment of a person's `holdfast`."""
        return {
            **self.plane.kubectl_environment(user),
            "HOLDFAST_STATE": str(self.state),
            "NO_COLOR": "1",
        }

    def _start(self, command: str, *args: str) -> process.Child:
        kubeconfig = self.plane.token_kubeconfig(chart.NAMESPACE, f"{chart.RELEASE}-{command}")
        return self._family.start(
            [
                *(HOLDFAST, command, "--kubeconfig", kubeconfig, "--state", self.state),
                *("--namespace", chart.NAMESPACE, "--release", chart.RELEASE, *args),
            ],
            name=f"holdfast {command}",
            log=self.folder / f"{command}.log",
            env={**os.environ, "NO_COLOR": "1"},
        )

    def _end(self, child: process.Child | None, *, kill: bool) -> None:
        if child is not None:
            self._family.stop(child, grace_seconds=0.0 if kill else _GRACE_SECONDS)

    def _is_ready(self) -> bool:
        # The certificate is not checked here: that the API server trusts it is what tests show.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        url = f"https://127.0.0.1:{self.webhook_port}/readyz"
        try:
            with urllib.request.urlopen(url, context=context, timeout=2.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            # Neither can do without the other: the guard process makes the webhook's certificate.
            children = [child for child in (self.webhook, self.guard) if child is not None]
            if not all(child.running() for child in children) or time.monotonic() > deadline:
                stories = "\n".join(child.story() for child in children)
                message = f"Waited in vain until {what}.\n{stories}"
                raise errors.StartError(message)
            time.sleep(_POLL_SECONDS)
