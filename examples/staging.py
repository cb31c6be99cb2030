"""The stage of the demo: a control plane, a Git repository, Holdfast, and people with a shell.

What a command should do is said beside it, and the demo fails where it does something else: a demo
that shows a denial because it was written that way would show nothing.
"""

import asyncio
import base64
import contextlib
import dataclasses
import datetime as dt
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import showing
from controlplane import binaries, errors, installation, plane
from support import gitserver

from guard.audit import store

SHOP: Final = Path(__file__).parent / "shop"
GUARDS: Final = Path(__file__).parent / "guards.yaml"

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_COMMAND_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_API: Final = "/apis/holdfast.dev/v1alpha1/namespaces/shop"

_EXPORTED: Final = (
    "KUBECONFIG",
    "KUBECACHEDIR",
    "HOLDFAST_STATE",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "no_proxy",
)
"""What another shell needs, with the PATH, to be alice's."""

_EDITOR: Final = """#!/bin/sh
# An editor that gives the password in a Secret another value, and shows it to nobody.
exec sed -i 's/^\\( *password:\\).*/\\1 {password}/' "$1"
"""


class Unexpected(Exception):
    """Something in the demo did not happen as promised; the text says what."""


@dataclasses.dataclass(slots=True)
class Stage:
    """All that runs. Everything lies below ``folder``; the shell of the people is in ``clone``.

    ``hidden`` are the texts that nothing may ever show: the values of Secrets.
    """

    screen: showing.Screen
    folder: Path
    plane: plane.ControlPlane
    holdfast: installation.Installation
    url: str
    environment: Mapping[str, str]
    hidden: tuple[str, ...]

    @property
    def clone(self) -> Path:
        """The work tree of the repository, with a remote to push to."""
        return self.folder / "shop"

    def run(
        self,
        line: str,
        *,
        status: int = 0,
        shows: Iterable[str] = (),
        hides: Iterable[str] = (),
    ) -> str:
        """Show a line of shell and what it answers, and check both; gives the answer.

        It runs as alice, in ``clone``. Raises Unexpected for another exit status than ``status``,
        a text of ``shows`` that the answer lacks, or one of ``hides`` that it has.
        """
        self.screen.command(line)
        result = self._shell(line)
        self._check_secrecy("the answer of the last command", result.stdout)
        self.screen.answer(result.stdout)
        if fault := fault_of(result, status=status, shows=shows, hides=hides):
            raise Unexpected(fault)
        return result.stdout

    def refused(self, line: str, *, shows: Iterable[str] = ()) -> None:
        """Run a line that Holdfast must refuse, and say why."""
        self.run(line, status=1, shows=["denied the request", "is managed from Git", *shows])

    def ask(self, line: str) -> str:
        """Run a line without showing it; gives its answer, whatever its exit status."""
        return self._shell(line).stdout

    def wait(self, what: str, probe: Callable[[], bool]) -> None:
        """Wait until ``probe`` says so. Raises Unexpected if it never does."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not probe():
            if time.monotonic() > deadline:
                message = f"Waited {_WAIT_SECONDS:.0f} s in vain until {what}."
                raise Unexpected(message)
            time.sleep(_POLL_SECONDS)

    def commit(self) -> str:
        """Give the commit that the clone is at."""
        return self.ask("git rev-parse HEAD").strip()

    def wait_for_guards(self, *names: str) -> None:
        """Wait until these Guards have applied the newest commit and all is as it says."""
        commit = self.commit()
        for name in names:
            self.wait(
                f"Guard shop/{name} is in sync at {commit[:7]}",
                lambda name=name: is_synced(self._get(f"guards/{name}"), commit),
            )

    def wait_for_spec(self, name: str) -> None:
        """Wait until the guard process acts by the newest spec of a Guard."""
        self.wait(f"the new spec of Guard shop/{name} is in force", lambda: self._acts_on(name))

    def wait_for_drift(self, name: str) -> None:
        """Wait until a Guard reports an object that stays different from its source."""
        self.wait(
            f"Guard shop/{name} reports drift",
            lambda: name in drifted_of(self._get("driftreports")["items"]),
        )

    def wait_for_records(self, verdict: str, titles: Iterable[str], *, since: dt.datetime) -> None:
        """Wait until the audit log has a record of a verdict for each object.

        A title is like ``Deployment shop/web``. The store is read here, since starting `holdfast
        audit` again and again would take longer than what is waited for.
        """
        wanted = set(titles)
        file = self.holdfast.state / "audit.db"
        self.wait(
            f"the audit log says {verdict} of {', '.join(sorted(wanted))}",
            lambda: wanted <= asyncio.run(_titles(file, verdict, since)),
        )

    def check_secrecy(self) -> None:
        """Look for the values of Secrets in all that Holdfast has written. Raises Unexpected."""
        written = [*self.folder.glob("*.log"), *self.holdfast.state.glob("audit.db*")]
        written += self.holdfast.state.glob("spool/**/*")
        for file in written:
            if file.is_file():
                self._check_secrecy(file.name, file.read_bytes().decode(errors="replace"))
        told = self.ask("kubectl -n shop get driftreports,events,guards -o yaml")
        self._check_secrecy("what Holdfast wrote into the cluster", told)

    def log_ends(self) -> str:
        """Give the last lines of each process's log."""
        logs = [self.folder / f"{name}.log" for name in ("guard", "webhook")]
        return "\n".join(
            f"The end of {log.name}:\n{errors.tail(log.read_text(errors='replace'))}"
            for log in logs
            if log.exists()
        )

    def _check_secrecy(self, where: str, text: str) -> None:
        if any(value in text for value in self.hidden):
            message = f"The value of a Secret stands in {where}."
            raise Unexpected(message)

    def write_exports(self) -> Path:
        """Write a file that makes a shell alice's when it is sourced; gives its path."""
        file = self.folder / "shop.env"
        path = f'export PATH={shlex.quote(str(self.folder / "bin"))}:"$PATH"\n'
        file.write_text(path + exports(self.environment, _EXPORTED))
        return file

    def _get(self, path: str) -> dict[str, Any]:
        """Read one of Holdfast's objects in the namespace shop, as admin."""
        found: dict[str, Any] = self.plane.api.request("GET", f"{_API}/{path}")
        return found

    def _acts_on(self, name: str) -> bool:
        guard = self._get(f"guards/{name}")
        seen = guard.get("status", {}).get("observedGeneration")
        return bool(seen == guard["metadata"]["generation"])

    def _shell(self, line: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["sh", "-c", line],
                cwd=self.clone,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            message = f"`{line}` did not end within {_COMMAND_SECONDS:.0f} s."
            raise Unexpected(message) from error


def now() -> dt.datetime:
    """Give this moment."""
    return dt.datetime.now(dt.UTC)


def typed(moment: dt.datetime) -> str:
    """Give a moment as `holdfast audit --since` takes it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def fault_of(
    result: subprocess.CompletedProcess[str],
    *,
    status: int,
    shows: Iterable[str] = (),
    hides: Iterable[str] = (),
) -> str:
    """Say what is wrong with the result of a command, empty if it is as it should be."""
    line = result.args[-1]
    if result.returncode != status:
        return f"`{line}` should end with status {status}, and ended with {result.returncode}."
    for text in shows:
        if text not in result.stdout:
            return f"The answer of `{line}` should say {text!r}, and does not."
    for text in hides:
        if text in result.stdout:
            return f"The answer of `{line}` should not say {text!r}, and does."
    return ""


def is_synced(guard: Mapping[str, Any], commit: str) -> bool:
    """Tell whether a Guard has applied this commit and sees no difference."""
    status = guard.get("status") or {}
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    return (
        status.get("observedGeneration") == guard["metadata"]["generation"]
        and status.get("appliedRevision", "").endswith(f"@{commit[:7]}")
        and (conditions.get("Ready"), conditions.get("Drifted")) == ("True", "False")
    )


def drifted_of(reports: Iterable[Mapping[str, Any]]) -> set[str]:
    """Name the Guards of the DriftReports that hold a drift."""
    return {one["metadata"]["name"] for one in reports if one["spec"].get("drifts")}


def spellings(value: str) -> tuple[str, str]:
    """Give a secret value as it is and as a Secret's data hold it."""
    return value, base64.b64encode(value.encode()).decode()


def exports(environment: Mapping[str, str], names: Iterable[str]) -> str:
    """Give lines of shell that set these variables."""
    return "".join(f"export {name}={shlex.quote(environment[name])}\n" for name in names)


@contextlib.contextmanager
def stage(screen: showing.Screen, folder: Path) -> Iterator[Stage]:
    """Build everything below ``folder``, and take all down again, the folder included."""
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            yield _build(screen, folder, stack)
        finally:
            # A second Ctrl-C must not break the taking down.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)


def _build(screen: showing.Screen, folder: Path, stack: contextlib.ExitStack) -> Stage:
    # No proxy may come between programs of one machine.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    with screen.step(f"Starting a control plane of Kubernetes {binaries.kubernetes_version()}"):
        control_plane = stack.enter_context(plane.ControlPlane(folder / "control-plane"))
    with screen.step("Serving a Git repository, made from examples/shop/"):
        server = stack.enter_context(gitserver.GitServer(folder / "git"))
        server.create("shop").commit_folder(SHOP, "The shop")
    with screen.step("Applying the Helm chart"):
        holdfast = stack.enter_context(installation.Installation(control_plane, folder))
    with screen.step("Starting `holdfast guard` and `holdfast webhook`"):
        holdfast.start()
    url = server.url("shop")
    password = secrets.token_hex(12)
    environment = _furnish(folder, control_plane, holdfast, password=spellings(password)[1])
    subprocess.run(["git", "clone", "--quiet", url, folder / "shop"], env=environment, check=True)
    write_guards(folder / "guards.yaml", url)
    return Stage(
        screen,
        folder,
        control_plane,
        holdfast,
        url,
        environment,
        hidden=(*spellings(password), *spellings(password_of_the_shop())),
    )


async def _titles(file: Path, verdict: str, since: dt.datetime) -> set[str]:
    async with await store.Store.open_readonly(file) as records:
        found = await records.query(store.Filter(verdicts=(verdict,), since=since))
    return {record.object.title for record in found}


def _furnish(
    folder: Path,
    control_plane: plane.ControlPlane,
    holdfast: installation.Installation,
    *,
    password: str,
) -> dict[str, str]:
    """Make the programs that people run, and give the environment of alice's shell."""
    programs, scratch = folder / "bin", folder / "tmp"
    programs.mkdir()
    scratch.mkdir()  # kubectl edit leaves a copy of what was refused
    (programs / "kubectl").symlink_to(control_plane.binary("kubectl"))
    for name in ("holdfast", "kubectl-holdfast"):
        (programs / name).symlink_to(installation.HOLDFAST)
    editor = programs / "change-password"
    editor.write_text(_EDITOR.format(password=password))
    editor.chmod(0o700)
    person = {
        name: value
        for name, value in holdfast.environment("alice").items()
        if not name.startswith("GIT_")
    }
    return {
        **person,
        "PATH": f"{programs}{os.pathsep}{person.get('PATH', os.defpath)}",
        "TMPDIR": str(scratch),
        "GIT_CONFIG_NOSYSTEM": "1",  # neither hooks nor signing of whoever runs this
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Mona",
        "GIT_AUTHOR_EMAIL": "mona@shop.example",
        "GIT_COMMITTER_NAME": "Mona",
        "GIT_COMMITTER_EMAIL": "mona@shop.example",
    }


def write_guards(file: Path, url: str) -> None:
    """Write the Guards with the address of the demo's repository, asked every second."""
    text = GUARDS.read_text()
    text = text.replace("https://git.example/shop.git", url)
    file.write_text(text.replace("interval: 30s", "interval: 1s"))


def password_of_the_shop() -> str:
    """Give the password that the Secret in Git holds."""
    text = (SHOP / "config" / "db.yaml").read_text()
    return text.rpartition("password:")[2].strip()
