"""The binaries of the control plane: found in KUBEBUILDER_ASSETS, or built once and cached.

``python -m controlplane.binaries`` makes all of them and prints where each one is; with the word
``node`` it makes those of a whole node too.

What is built comes from the pinned modules beside this file, into
``${XDG_CACHE_HOME:-~/.cache}/holdfast/<kubernetes version>/bin``. Building those of the control
plane takes about four minutes on two cores, once, and those of a node one more; a note beside each
binary says from which pins it was made.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from controlplane import errors, golang, progress

MODULES = Path(__file__).parent / "modules"


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How one binary is built: the main package, the pinned module, the variables to set in it.

    ``variables`` may use ``{version}``, ``{major}`` and ``{minor}`` of Kubernetes, and ``{own}``,
    the version of the module ``pin``.
    """

    module: str
    package: str
    pin: str
    variables: tuple[str, ...] = ()


_KUBERNETES_VARIABLES = (
    "k8s.io/component-base/version.gitVersion={version}",
    "k8s.io/component-base/version.gitMajor={major}",
    "k8s.io/component-base/version.gitMinor={minor}",
)
_HELM_VARIABLES = (
    "helm.sh/helm/v3/internal/version.version={own}",
    # Without these `helm template` believes that it renders for Kubernetes 1.20.
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor={major}",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={minor}",
)
_KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
RECIPES: Mapping[str, Recipe] = {
    **{
        name: Recipe(
            "kubernetes",
            f"k8s.io/kubernetes/cmd/{name}",
            pin="k8s.io/kubernetes",
            variables=_KUBERNETES_VARIABLES,
        )
        for name in _KUBERNETES
    },
    "pause": Recipe("kubernetes", "./pause", pin="k8s.io/kubernetes"),
    "etcd": Recipe("etcd", "go.etcd.io/etcd/server/v3", pin="go.etcd.io/etcd/server/v3"),
    "helm": Recipe(
        "helm",
        "helm.sh/helm/v3/cmd/helm",
        pin="helm.sh/helm/v3",
        variables=_HELM_VARIABLES,
    ),
}
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kubectl", "etcd", "helm")
"""What integration tests, demo and benchmarks need."""
NODE = (*CONTROL_PLANE, "kube-scheduler", "kubelet", "kube-proxy", "pause")
"""What a cluster with a node needs, for the end-to-end tests."""


def pinned_version(go_mod: Path, module: str) -> str:
    """Read the version of a required module, such as ``v1.36.3``, from a go.mod.

    Raises BuildError if it is not required there.
    """
    line = re.search(
        rf"^(?:require)?\s+{re.escape(module)} (v\S+)", go_mod.read_text(), re.MULTILINE
    )
    if line is None:
        message = f"{go_mod} does not require {module}."
        raise errors.BuildError(message)
    return line[1]


def kubernetes_version() -> str:
    """Give the pinned version of Kubernetes: ``v1.36.3``."""
    return pinned_version(MODULES / "kubernetes" / "go.mod", "k8s.io/kubernetes")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder below which everything built or installed is kept."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache")
    return Path(base) / "holdfast"


def binary_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder for the binaries that we build; its name has the Kubernetes version."""
    return cache_folder(environ) / kubernetes_version() / "bin"


def from_assets(name: str, environ: Mapping[str, str]) -> Path | None:
    """Give the binary of this name in KUBEBUILDER_ASSETS, None if it is not (or not runnable)."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        return None
    binary = Path(assets, name)
    return binary if binary.is_file() and os.access(binary, os.X_OK) else None


def linker_flags(recipe: Recipe) -> str:
    """Give the value of ``-ldflags``: no symbol tables, and the versions that it will report."""
    version = kubernetes_version()
    major, minor, *_ = version.removeprefix("v").split(".")
    own = pinned_version(MODULES / recipe.module / "go.mod", recipe.pin)
    values = {"version": version, "major": major, "minor": minor, "own": own}
    return " ".join(["-s -w", *(f"-X {text.format(**values)}" for text in recipe.variables)])


def pins(recipe: Recipe) -> str:
    """Give a digest of all that decides what a build gives; a change of it means a new build."""
    digest = hashlib.sha256(linker_flags(recipe).encode())
    for file in ("go.mod", "go.sum"):
        digest.update((MODULES / recipe.module / file).read_bytes())
    if recipe.package.startswith("./"):
        for source in sorted((MODULES / recipe.module / recipe.package).glob("*.go")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def ensure(
    names: Iterable[str] = CONTROL_PLANE,
    *,
    environ: Mapping[str, str] = os.environ,
    tell: progress.Progress | None = None,
) -> dict[str, Path]:
    """Give the path of each binary, building what is missing; tells on standard error.

    Only one process builds at a time; another one waits for it. Raises BuildError.
    """
    tell = tell or progress.Progress(sys.stderr)
    wanted = list(names)
    found = {name: path for name in wanted if (path := _present(name, environ)) is not None}
    if missing := [name for name in wanted if name not in found]:
        folder = binary_folder(environ)
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder.parent / "lock", tell):
            for name in missing:
                # Whoever held the lock before may have built it.
                found[name] = _present(name, environ) or _build(name, environ=environ, tell=tell)
    return found


def locate(name: str) -> Path:
    """Give the path of one binary, building it if need be."""
    return ensure([name])[name]


def _note(binary: Path) -> Path:
    return binary.with_name(f"{binary.name}.pins")


def _present(name: str, environ: Mapping[str, str]) -> Path | None:
    if (binary := from_assets(name, environ)) is not None:
        return binary
    binary = binary_folder(environ) / name
    with contextlib.suppress(FileNotFoundError):
        if binary.is_file() and _note(binary).read_text() == pins(RECIPES[name]):
            return binary
    return None


@contextlib.contextmanager
def _only_one(lock: Path, tell: progress.Progress) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell.say("Another run is building the control plane; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file lets the lock go, and so does a death


def _build(name: str, *, environ: Mapping[str, str], tell: progress.Progress) -> Path:
    recipe = RECIPES[name]
    module = MODULES / recipe.module
    go = golang.toolchain(
        least=golang.needed(module / "go.mod"),
        cache=cache_folder(environ),
        environ=environ,
        tell=tell,
    )
    env = go.environment(environ)
    binary = binary_folder(environ) / name
    scratch = binary.with_name(f".{name}.{os.getpid()}")
    own = pinned_version(module / "go.mod", recipe.pin)
    tell.begin(f"Building {name} {own}")
    total = 0

    def fetched(packages: int, downloads: int) -> None:
        nonlocal total
        total = packages
        tell.update(done=downloads, total=0, unit="modules fetched")

    def compiled(_: int, packages: int) -> None:
        tell.update(done=packages, total=total, unit="packages compiled")

    golang.run(
        [go.binary, "list", "-mod=readonly", "-deps", recipe.package],
        cwd=module,
        env=env,
        on_tick=fetched,
    )
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", linker_flags(recipe)]
    try:
        golang.run(
            [go.binary, "build", "-v", *flags, "-o", scratch, recipe.package],
            cwd=module,
            env=env,
            on_tick=compiled,
        )
        _note(binary).unlink(missing_ok=True)  # a kill between the next two lines: built again
        scratch.rename(binary)
        _note(binary).write_text(pins(recipe))
    finally:
        scratch.unlink(missing_ok=True)
    tell.end(f"done, {binary.stat().st_size / 1e6:.0f} MB")
    return binary


def main(argv: Sequence[str] | None = None) -> int:
    """Make all binaries and print their paths; 1 with a sentence when one cannot be made."""
    parser = argparse.ArgumentParser(
        prog="python -m controlplane.binaries", description="Build what is missing, once."
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("control-plane", "node"),
        default="control-plane",
        help="what the binaries are for",
    )
    wanted = NODE if parser.parse_args(argv).what == "node" else CONTROL_PLANE
    tell = progress.Progress(sys.stderr)
    missing = [name for name in wanted if _present(name, os.environ) is None]
    if missing:
        tell.say(
            f"Building {', '.join(missing)} of Kubernetes {kubernetes_version()}: "
            "up to 5 minutes on 2 cores, once."
        )
    try:
        found = ensure(wanted, tell=tell)
    except errors.ControlPlaneError as error:
        tell.say(f"error: {error}")
        return 1
    sys.stdout.writelines(f"{name} {path}\n" for name, path in sorted(found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
