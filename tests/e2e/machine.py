"""What the machine must have for a node, and why it cannot have one."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from controlplane import errors, progress

_PACKAGES = Path(__file__).parents[2] / "scripts" / "e2e-packages"
_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_COMMAND_SECONDS = 60.0
_GOING_SECONDS = 10.0
_POLL_SECONDS = 0.05


class Unfit(errors.ControlPlaneError):
    """The machine cannot run a node; the text says why."""


def require() -> None:
    """Raise Unfit, with the reason, unless this machine can run a node."""
    if sys.platform != "linux":
        message = "A node needs Linux."
        raise Unfit(message)
    if os.geteuid() != 0:
        message = "A node needs root: for namespaces, containers and mounts."
        raise Unfit(message)
    if packages := _complaint([str(_PACKAGES), "--check"]):
        raise Unfit(packages.removeprefix("error: "))
    if refused := _complaint(["unshare", *_NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/run"]):
        message = f"This machine does not let the namespaces of a node be made: {refused}"
        raise Unfit(message)


def require_free(subnet: str) -> None:
    """Raise Unfit if something on this machine has a route into the network of the node.

    That of a node whose run was killed may still be going; it is given a few seconds.
    """
    deadline = time.monotonic() + _GOING_SECONDS
    while routes := run(["ip", "-4", "route", "show", "root", subnet]):
        if time.monotonic() > deadline:
            message = f"The network of the node, {subnet}, is in use on this machine: {routes}"
            raise Unfit(message)
        time.sleep(_POLL_SECONDS)


def run(argv: Sequence[str | Path], *, timeout_seconds: float = _COMMAND_SECONDS) -> str:
    """Run a program of the machine and give what it printed. Raises CommandError."""
    result = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if result.returncode != 0:
        command = " ".join(str(part) for part in argv)
        message = f"`{command}` exited with {result.returncode}:\n{errors.tail(result.stderr)}"
        raise errors.CommandError(message)
    return result.stdout.strip()


def only_one(lock: Path, *, tell: progress.Progress) -> int:
    """Wait until no other run has a node, whose addresses are fixed; gives what holds the lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell.say("Another run has a node; waiting for it.")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _complaint(argv: Sequence[str]) -> str:
    """Run a program and give nothing if it succeeds, else what it said."""
    result = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    return "" if result.returncode == 0 else result.stderr.strip() or "it gave no reason"
