"""When the image is built anew."""

from pathlib import Path

import pytest
from e2e import image


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout with two things that go into the image."""
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "main.py").write_text("print()\n")
    return tmp_path


INPUTS = ("Dockerfile", "guard")


def test_the_same_files_need_no_new_image(checkout: Path) -> None:
    """Times, bytecode and files beside do not count."""
    before = image.digest_of(checkout, INPUTS)
    (checkout / "guard" / "__pycache__").mkdir()
    (checkout / "guard" / "__pycache__" / "main.pyc").write_bytes(b"\0")
    (checkout / "README.md").write_text("new\n")
    (checkout / "Dockerfile").touch()

    assert image.digest_of(checkout, INPUTS) == before


@pytest.mark.parametrize("name", ["Dockerfile", "guard/main.py", "guard/other.py"])
def test_another_content_or_file_needs_a_new_image(checkout: Path, name: str) -> None:
    """A stale image would make every end-to-end test lie."""
    before = image.digest_of(checkout, INPUTS)
    (checkout / name).write_text("other\n")

    assert image.digest_of(checkout, INPUTS) != before


def test_a_renamed_file_needs_a_new_image(checkout: Path) -> None:
    """Content alone does not say it."""
    before = image.digest_of(checkout, INPUTS)
    (checkout / "guard" / "main.py").rename(checkout / "guard" / "other.py")

    assert image.digest_of(checkout, INPUTS) != before


def test_all_that_the_dockerfile_copies_counts() -> None:
    """Its own COPY lines, those from other stages aside, name what the digest covers."""
    lines = (image.ROOT / "Dockerfile").read_text().splitlines()
    copied = {
        word
        for line in lines
        if line.startswith("COPY ") and "--from=" not in line
        for word in line.split()[1:-1]
    }

    assert copied <= set(image.INPUTS)


def test_nothing_else_reaches_a_builder() -> None:
    """.dockerignore lets through just what the digest covers, and the Dockerfile is given apart."""
    lines = (image.ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert let_through | {"Dockerfile"} == set(image.INPUTS)
