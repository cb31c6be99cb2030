"""What a person is told when this machine lacks what the set-up needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[3] / "scripts" / "setup"


def program(path: Path, script: str) -> Path:
    """Write a shell script that may be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def run_setup(python: Path, *, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the set-up with this Python and only the programs of this folder."""
    return subprocess.run(
        [shutil.which("bash") or "bash", SETUP, python, path / "venv"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            '[ "$1" = -V ] && echo Python 3.9.2 || exit 1',
            "is Python 3.9.2; Holdfast needs Python 3",
        ),
        ('case "$*" in *ensurepip*) exit 1;; esac', "install its venv module"),
    ],
)
def test_a_python_that_will_not_do_is_told_with_what_to_do(
    tmp_path: Path, script: str, words: str
) -> None:
    """A traceback from a syntax that is too new would tell nobody."""
    program(tmp_path / "git", "exit 0")

    result = run_setup(program(tmp_path / "python", script), path=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


def test_a_missing_python_is_told(tmp_path: Path) -> None:
    """The sentence says how to name another one."""
    program(tmp_path / "git", "exit 0")

    result = run_setup(tmp_path / "python3", path=tmp_path)

    assert result.returncode == 1
    assert "make PYTHON=" in result.stderr


def test_a_missing_git_is_told(tmp_path: Path) -> None:
    """Without it the first test of a source would fail in an obscure way."""
    result = run_setup(program(tmp_path / "python", "exit 0"), path=tmp_path)

    assert result.returncode == 1
    assert "git is not installed" in result.stderr
