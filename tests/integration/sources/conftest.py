"""A Git server on loopback and a maker of sources of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import gitserver

from guard.sources import git

MakeSource = Callable[..., git.GitSource]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[gitserver.GitServer]:
    """Serve the repositories below a folder of the test."""
    with gitserver.GitServer(tmp_path / "served") as running:
        yield running


@pytest.fixture
def shop(server: gitserver.GitServer) -> gitserver.Repository:
    """Give the repository that ``make_source`` reads."""
    return server.create("shop")


@pytest.fixture
def make_source(server: gitserver.GitServer, tmp_path: Path) -> MakeSource:
    """Make a source of the repository ``shop``: its branch main, all of it, over http."""

    def make(**changes: Any) -> git.GitSource:
        arguments: dict[str, Any] = {
            "url": server.url("shop"),
            "ref": "main",
            "path": ".",
            "mirror": tmp_path / "mirror",
            "allowed_schemes": frozenset({"http"}),
            "timeout_seconds": 20.0,
        }
        return git.GitSource(**{**arguments, **changes})

    return make
