"""An installation whose webhook never runs: the API server asks, nobody answers, and all passes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from controlplane import installation, plane


class GuardAlone(installation.Installation):
    """The guard process alone keeps the objects."""

    def start_webhook(self) -> None:
        """Do nothing: writes pass unjudged."""


@contextlib.contextmanager
def beside_own_plane(folder: Path) -> Iterator[GuardAlone]:
    """Give a guard process beside a control plane of its own."""
    with (
        plane.ControlPlane(folder / "plane") as control_plane,
        GuardAlone(control_plane, folder / "holdfast") as running,
    ):
        running.start_guard()
        yield running
