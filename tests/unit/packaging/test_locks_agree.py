"""The image holds the versions that are tested, and all that Holdfast declares."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def pins(lock: str) -> dict[str, str]:
    """Read a lock file: the version of each package, by its name."""
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def blocks(lock: str) -> list[str]:
    """Give each package of a lock file with its hashes."""
    text = (ROOT / lock).read_text()
    return re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]


def canonical(requirement: str) -> str:
    """Give the name in a requirement as lock files write it."""
    return re.split(r"[\[<>=~!; ]", requirement)[0].replace("_", "-").lower()


@pytest.mark.parametrize("lock", ["requirements-runtime.lock", "requirements-build.lock"])
def test_what_the_image_takes_is_what_the_tests_run_with(lock: str) -> None:
    """`make lock` writes all of them from one resolution."""
    assert pins(lock).items() <= pins("requirements.lock").items()


@pytest.mark.parametrize("lock", ["requirements-runtime.lock", "requirements-build.lock"])
def test_every_package_is_locked_by_hash(lock: str) -> None:
    """Also on a mirror that somebody else has filled."""
    assert all("--hash=sha256:" in block for block in blocks(lock))


def test_the_image_has_all_that_is_declared_and_uvloop() -> None:
    """A dependency that is added without `make lock` would break the image alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {canonical(each) for each in project["dependencies"]} | {"uvloop"}

    assert declared <= pins("requirements-runtime.lock").keys()


def test_the_image_has_no_tools_of_development() -> None:
    """They are a third of what there is to attack."""
    assert not {"pytest", "mypy", "ruff", "hatchling"} & pins("requirements-runtime.lock").keys()
