"""Child processes that never outlive the program that started them.

A `Family` has a warden: a tiny process that knows the children's ids and waits for the end of its
standard input. The kernel closes that pipe however this program ends, kill -9 included, and the
warden then kills the children. Linux's parent-death signal would need no warden, but it fires when
the *thread* that started the child ends, and tests start children from short-lived threads.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from controlplane import errors

_WARDEN = """
import os, signal, sys
alive = set()
for line in sys.stdin:
    pid = int(line)
    if pid > 0:
        alive.add(pid)
    else:
        alive.discard(-pid)
for pid in alive:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
_KILLED_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Child:
    """A started program and the file that its output goes to."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id, which is also the id of its process group."""
        return self.popen.pid

    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def log_text(self) -> str:
        """Read all that it has printed so far, from this and earlier starts in the same file."""
        return self.log.read_text(errors="replace")

    def story(self) -> str:
        """Say how it stands and how its log ends, for the text of an error."""
        state = "is running" if self.running() else f"ended with {self.popen.returncode}"
        return f"{self.name} {state}; the end of {self.log}:\n{errors.tail(self.log_text())}"


class Family:
    """Starts and stops children; use it as a context manager, or call `close`."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._warden = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WARDEN],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal is not for the warden
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        name: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Child:
        """Start a program in a process group of its own, its output appended to ``log``."""
        with log.open("ab") as output:
            popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        self._tell(popen.pid)
        child = Child(name, popen, log)
        self._children.append(child)
        return child

    def stop(self, child: Child, *, grace_seconds: float = 0.0) -> None:
        """End a child: by SIGTERM if given grace, and by SIGKILL when that has passed."""
        if grace_seconds > 0:
            child.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.popen.wait(grace_seconds)
        # Before its id is free again, and also for the group of one that ended by itself.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.popen.wait(_KILLED_SECONDS)
        self._tell(-child.pid)
        if child in self._children:
            self._children.remove(child)

    def close(self, *, grace_seconds: float = 0.0) -> None:
        """Stop all children, the youngest first, and the warden."""
        for child in reversed(self._children.copy()):
            self.stop(child, grace_seconds=grace_seconds)
        if self._warden.stdin is not None:
            self._warden.stdin.close()
        self._warden.wait(_KILLED_SECONDS)

    def _tell(self, pid: int) -> None:
        if self._warden.stdin is not None:
            self._warden.stdin.write(f"{pid}\n".encode())
            self._warden.stdin.flush()
