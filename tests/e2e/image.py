"""The image, built by the Dockerfile of this checkout, without a Docker engine.

Debian's buildah builds it over a base that mmdebstrap makes of Debian's packages: what the
published slim images of Python are, a Debian with Python and apt. No registry is asked for
anything. Base and image are kept in the cache folder, by a digest of what goes into them.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from controlplane import binaries, errors, progress
from e2e import configuration

NAME = "localhost/holdfast:test"
"""The name of the image on the node; its pull policy must not be Always."""

ROOT = Path(__file__).parents[2]

_BASE_NAME = "localhost/base:py"
_BASE_PACKAGES = ("ca-certificates", "netbase", "python3", "python3-venv", "tzdata")
_SUITE = "trixie"
_LEFT_OUT = ("doc", "info", "locale", "man")
_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INPUTS = (
    "Dockerfile",
    "requirements-build.lock",
    "requirements-runtime.lock",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "scripts/image-git",
    "certs",
    "guard",
    "webhook",
)
"""What the Dockerfile copies, and itself; .dockerignore lets nothing else through."""

_KEPT_IMAGES = 3
_MOST_STORAGE_MB = 4000
_BUILD_SECONDS = 900.0


def version() -> str:
    """Give the version in pyproject.toml, which the image is labelled with."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def digest_of(root: Path, inputs: Sequence[str] = INPUTS) -> str:
    """Give a digest of the names and contents of all files that go into the image."""
    digest = hashlib.sha256()
    for name in inputs:
        top = root / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()[:16]


def ensure(*, tell: progress.Progress | None = None) -> Path:
    """Give the image as an OCI archive, building it if need be. Raises BuildError."""
    tell = tell or progress.Progress(sys.stderr)
    folder = binaries.cache_folder(os.environ) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file lets it go, and so does a death
        base = _ensure_base(folder, tell)
        archive = folder / f"holdfast-{digest_of(ROOT)}-{base.stem.removeprefix('base-')}.tar"
        if not archive.exists():
            _build(folder, base, archive, tell)
        archive.touch()
        _forget_old(folder)
    return archive


def ensure_pause(binary: Path) -> Path:
    """Give the image that holds a pod's namespaces, made of one static program."""
    folder = binaries.cache_folder(os.environ) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(binary.read_bytes()).hexdigest()[:16]
    archive = folder / f"pause-{key}.tar"
    with (folder / "lock").open("w") as lock, _scratch(folder) as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            buildah = _Buildah(scratch / "storage")
            container = buildah("from", "scratch").strip()
            buildah("copy", "--quiet", container, str(binary), "/pause")
            buildah("config", '--entrypoint=["/pause"]', container)
            buildah("commit", "--quiet", "--rm", container, configuration.PAUSE)
            made = scratch / "pause.tar"
            buildah(
                "push", "--quiet", configuration.PAUSE, f"oci-archive:{made}:{configuration.PAUSE}"
            )
            made.rename(archive)
            buildah.discard()
    return archive


def pip_secrets(environ: Mapping[str, str], folder: Path) -> list[str]:
    """Give the flags that let pip within the build reach its index as it is reached out here.

    pip's settings on this machine, from files and PIP_* alike, become a secret file of the build.
    """
    settings = dict(
        re.findall(
            r"^(?:global|install|:env:)\.([a-z-]+)='(.*)'$",
            _run([sys.executable, "-m", "pip", "config", "list"], env=environ),
            re.MULTILINE,
        )
    )
    kept = {
        name: value
        for name, value in settings.items()
        if name in {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout"}
    }
    flags = []
    authority = settings.get("cert") or environ.get("SSL_CERT_FILE")
    if authority and Path(authority).is_file():
        kept["cert"] = "/run/secrets/ca"
        flags += ["--secret", f"id=ca,src={authority}"]
    file = folder / "pip.conf"
    lines = (f"{name} = {value}\n" for name, value in kept.items())
    file.write_text("[global]\n" + "".join(lines))
    return [*flags, "--secret", f"id=pip,src={file}"]


def _ensure_base(folder: Path, tell: progress.Progress) -> Path:
    """Give a root file system of Debian's packages as a tar archive."""
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(_BASE_PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT),
        _SUITE,
    ]
    key = hashlib.sha256("\n".join(argv).encode()).hexdigest()[:8]
    base = folder / f"base-{key}.tar"
    if not base.exists():
        tell.begin(f"Making the base of the image from packages of Debian {_SUITE}")
        with _scratch(folder) as scratch:
            made = scratch / "base.tar"
            _run([*argv, str(made)])
            made.rename(base)
        tell.end(f"done, {base.stat().st_size / 1e6:.0f} MB")
    return base


def _build(folder: Path, base: Path, archive: Path, tell: progress.Progress) -> None:
    tell.begin("Building the image")
    buildah = _Buildah(folder / "storage")
    base_name = f"{_BASE_NAME}-{base.stem.removeprefix('base-')}"
    with _scratch(folder) as scratch:
        if not buildah.has(base_name) or buildah.megabytes() > _MOST_STORAGE_MB:
            buildah.discard()  # also of layers over a former base, which nobody needs any more
            buildah.make_base(base_name, base)
        buildah(
            "build",
            "--layers",
            "--pull-never",
            f"--build-arg=BASE={base_name}",
            f"--build-arg=VERSION={version()}",
            *pip_secrets(os.environ, scratch),
            f"--tag={NAME}",
            str(ROOT),
        )
        made = scratch / "image.tar"
        buildah("push", "--quiet", NAME, f"oci-archive:{made}:{NAME}")
        made.rename(archive)
    tell.end(f"done, {archive.stat().st_size / 1e6:.0f} MB compressed")


class _Buildah:
    """buildah with a storage of its own, that of the machine's images is left alone."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._flags = ["--root", str(storage), "--runroot", str(storage / "run")]

    def __call__(self, *args: str) -> str:
        command, *rest = args
        return _run(
            ["buildah", *self._flags, command, *rest],
            # No daemon, no network of its own, no cgroup: a chroot is all that a build needs.
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
        )

    def has(self, name: str) -> bool:
        return name in self("images", "--format={{.Name}}:{{.Tag}}").split()

    def megabytes(self) -> int:
        return int(_run(["du", "--summarize", "--block-size=1M", str(self._storage)]).split()[0])

    def make_base(self, name: str, base: Path) -> None:
        container = self("from", "scratch").strip()
        self("add", "--quiet", container, str(base), "/")
        self("config", f"--env=PATH={_BASE_PATH}", container)
        self("commit", "--quiet", "--rm", container, name)

    def discard(self) -> None:
        if self._storage.exists():
            self("rm", "--all")
            self("rmi", "--all", "--force")
            shutil.rmtree(self._storage)


def _forget_old(folder: Path) -> None:
    """Keep the images used last: a new one comes with every change of the code."""
    archives = sorted(folder.glob("holdfast-*.tar"), key=lambda path: path.stat().st_mtime)
    for archive in archives[:-_KEPT_IMAGES]:
        archive.unlink()


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".scratch-") as path:
        yield Path(path)


def _run(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """Run a program and give its standard output. Raises BuildError with what it said."""
    try:
        result = subprocess.run(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"`{' '.join(argv)}` did not end within {_BUILD_SECONDS:.0f} s."
        raise errors.BuildError(message) from error
    if result.returncode != 0:
        said = errors.tail(f"{result.stdout}\n{result.stderr}", lines=40)
        message = f"`{' '.join(argv)}` exited with {result.returncode}:\n{said}"
        raise errors.BuildError(message)
    return result.stdout


def main() -> int:
    """Build the image and print where it lies."""
    try:
        archive = ensure()
    except errors.ControlPlaneError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{archive}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
