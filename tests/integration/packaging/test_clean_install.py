"""The distribution in an environment of its own: what a user gets, and nothing of this checkout."""

import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
PACKAGES = {"guard", "webhook", "certs"}
COMMANDS = ("holdfast", "kubectl-holdfast")


def run(argv: Sequence[str | Path], *, cwd: Path = ROOT) -> str:
    """Run a program that must not fail, and give what it prints."""
    result = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the locked build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    run([sys.executable, "-m", "pip", "wheel", *flags, folder, ROOT])
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    """A fourth top-level name could shadow somebody else's package; tests and chart stay out."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert wheel.name.startswith("kube_holdfast-")
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_type_information_is_shipped(wheel: Path) -> None:
    """Each package says with py.typed that its annotations count."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {f"{package}/py.typed" for package in PACKAGES} <= names


@pytest.mark.slow
def test_it_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """With its declared dependencies alone, every package imports from there and the CLI runs."""
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    # The lock as mere constraints: the wheel itself has no hash there.
    lock = (ROOT / "requirements.lock").read_text()
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(re.sub(r" \\\n(?: +--hash=\S+(?: \\)?\n)+", "\n", lock))
    run([binaries / "python", "-m", "pip", "install", "--quiet", "-c", constraints, wheel])

    program = f"import {', '.join(sorted(PACKAGES))}; print(guard.__path__[0])"
    where = run([binaries / "python", "-I", "-W", "error", "-c", program], cwd=tmp_path)
    answers = [run([binaries / name, "version"], cwd=tmp_path) for name in COMMANDS]

    assert Path(where.strip()).is_relative_to(tmp_path)
    assert answers[0] == answers[1]
    assert "0.1.0" in answers[0]
