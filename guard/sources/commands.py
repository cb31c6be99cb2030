"""Running git: constant options, no configuration but ours, a timeout, and an end on demand.

GitPython starts the processes and hides passwords in what it logs. Its objects (Repo, Remote) are
not used: they keep processes open, and nearly all of its advisories are about options and refspecs
that came from outside. Here those are constants; only checked ids, names and URLs vary.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guard.sources import causes, errors

if TYPE_CHECKING:
    from git import cmd

_CONNECT_SECONDS: Final = 10
_STALLED_SECONDS: Final = 20

_CONFIGURATION: Final = (
    "core.hooksPath=/dev/null",
    "credential.helper=",
    # Only when we ask for it, under the lock of the mirror: a detached gc would outlive it.
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    # A server that stalls ends before the timeout does, with a cause.
    "http.lowSpeedLimit=1",
    f"http.lowSpeedTime={_STALLED_SECONDS}",
    # Schemes are allowed one by one below; this holds for redirects too.
    "protocol.allow=never",
)

_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_SSH_COMMAND": f"ssh -o BatchMode=yes -o ConnectTimeout={_CONNECT_SECONDS}",
}

_KEPT: Final = frozenset({"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_EXEC_PATH"})
"""Of git's environment variables, those that an image may set: whom to trust, where git lives."""


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """How a command ended. ``stderr`` may hold credentials: only ``causes`` makes texts of it."""

    status: int
    stdout: bytes
    stderr: str


class Commands:
    """Runs git, one command at a time, until ``abort``.

    ``inherited`` is a file descriptor that each git process keeps open: the lock of the mirror,
    which so stays locked for as long as a git of a killed guard process still writes.
    """

    def __init__(
        self,
        *,
        schemes: Iterable[str],
        timeout_seconds: float,
        inherited: int | None = None,
    ) -> None:
        self._schemes = tuple(sorted(schemes))
        self._timeout_seconds = timeout_seconds
        self._inherited = inherited
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._aborted = False

    def run(
        self,
        arguments: Sequence[str],
        *,
        git_dir: Path | None = None,
        stdin: bytes = b"",
    ) -> Output:
        """Run ``git arguments`` to its end, whatever its exit status.

        Raises GitFailed if git cannot be started or was aborted, Unreachable after the timeout.
        """
        command = [*_without_foreign_environment(), "git"]
        if git_dir is not None:
            command.append(f"--git-dir={git_dir}")
        for option in (*_CONFIGURATION, *(f"protocol.{one}.allow=always" for one in self._schemes)):
            command += ["-c", option]
        process = self._start([*command, *arguments])
        try:
            stdout, stderr = process.communicate(stdin, timeout=self._timeout_seconds)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            process.communicate()
            message = f"git {arguments[0]} took longer than {self._timeout_seconds:g} seconds."
            raise errors.Unreachable(message) from error
        finally:
            with self._guard:
                self._process = None
        if self._aborted:
            message = f"git {arguments[0]} was ended: the source is being closed."
            raise errors.GitFailed(message)
        return Output(process.returncode, stdout, stderr.decode("utf-8", "replace"))

    def abort(self) -> None:
        """Kill the command that runs, and start no other. May be called from any thread."""
        with self._guard:
            self._aborted = True
            if self._process is not None:
                _kill(self._process)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._aborted:
                message = "git was not started: the source is being closed."
                raise errors.GitFailed(message)
            try:
                handle = _execute(command, inherited=self._inherited)
            except (ImportError, OSError) as error:
                # GitPython looks for git when it is imported.
                message = "git cannot be started; is it installed?"
                raise errors.GitFailed(message) from error
            process: subprocess.Popen[bytes] | None = handle.proc
            if process is None:
                message = "git cannot be started."
                raise errors.GitFailed(message)
            # From here on the process is ours alone: GitPython would kill it when its handle goes.
            handle.proc = None
            self._process = process
            return process


def checked(output: Output, *, doing: str) -> Output:
    """Give the output of a local command; raise CorruptMirror if it failed."""
    if output.status != 0:
        reason = causes.detail(output.stderr)
        message = f"The mirror of the repository is damaged: {doing} failed: {reason}."
        raise errors.CorruptMirror(message)
    return output


def _execute(command: list[str], *, inherited: int | None) -> "cmd.Git.AutoInterrupt":
    # Slow to import, and it raises ImportError where there is no git.
    from git import cmd, exc

    options: dict[str, Any] = {"start_new_session": True}
    if inherited is not None:
        options["pass_fds"] = (inherited,)
    try:
        handle: cmd.Git.AutoInterrupt = cmd.Git().execute(
            command,
            istream=subprocess.PIPE,
            as_process=True,
            env=_ENVIRONMENT,
            **options,
        )
    except exc.GitCommandNotFound as error:
        message = "no git on the path"
        raise FileNotFoundError(message) from error
    return handle


def _without_foreign_environment() -> list[str]:
    """Give a prefix that takes git's own variables out of the process's environment.

    GitPython passes the environment on, and some of its variables cannot be neutralised by a
    value: GIT_SSL_NO_VERIFY switches verification off by being there at all.
    """
    foreign = sorted(
        name
        for name in os.environ
        if name.startswith("GIT_") and name not in _ENVIRONMENT and name not in _KEPT
    )
    return ["env", *(word for name in foreign for word in ("-u", name))] if foreign else []


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill git and its helpers (git-remote-https, ssh): they are a session of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
