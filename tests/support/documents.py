"""The commands that our documents show, so that tests can run them."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def examples(name: str) -> list[tuple[str, str]]:
    """Give each command of a document with the output that is shown below it, perhaps empty."""
    found: list[tuple[str, str]] = []
    for line in (DOCS / name).read_text().splitlines():
        if line.startswith("    $ "):
            found.append((line.removeprefix("    $ "), ""))
        elif line.startswith("    ") and found:
            command, shown = found[-1]
            found[-1] = command, f"{shown}{line.strip()}\n"
    assert found, name
    return found
