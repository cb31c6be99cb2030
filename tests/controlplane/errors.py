"""What can go wrong with the test control plane.

::

    ControlPlaneError
    ├── BuildError    a binary could not be built, or there is no Go to build it with
    ├── StartError    a component did not come up
    ├── ApiError      the API server refused a request of the harness itself
    └── CommandError  kubectl or helm exited with an error

The tree stands apart from ``guard.errors``: this code tests Holdfast and must not depend on it.
"""


class ControlPlaneError(Exception):
    """An error whose ``str()`` tells a person what happened and what the program said."""


class BuildError(ControlPlaneError):
    """A binary could not be built, or no Go was to be had."""


class StartError(ControlPlaneError):
    """A component did not become ready; the text ends with the last lines of its log."""


class ApiError(ControlPlaneError):
    """The API server answered a request of the harness with an error status."""

    def __init__(self, sentence: str, *, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class CommandError(ControlPlaneError):
    """A command exited with an error; the text has its standard error."""


def tail(text: str, *, lines: int = 25) -> str:
    """Give the last lines of a program's output, indented, for the end of an error's text."""
    kept = text.rstrip().splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in kept) or "    (it printed nothing)"
