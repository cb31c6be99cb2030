"""The entry point of `holdfast`, which is also the kubectl plugin `kubectl holdfast`.

A command's module is imported when the command is run: as a kubectl plugin the program starts with
every keystroke of some people, and the API client alone takes longer to import than all of this.
"""

import importlib
import io
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from guard import errors
from guard.cli import errors as cli_errors
from guard.cli import options, output

IN_SYNC: Final = 0
DRIFT: Final = 1
ERROR: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT

COMMANDS: Final = {
    "status": ("guard.cli.status", "Show every Guard and how it stands."),
    "diff": ("guard.cli.diff", "Show what stays different from the source."),
    "explain": ("guard.cli.explain", "Show who guards an object, and each declared field."),
    "audit": ("guard.cli.audit", "List the audit log: who did what, and what became of it."),
    "off": ("guard.cli.switch", "End all enforcement at once: nothing is refused or restored."),
    "on": ("guard.cli.switch", "Resume all enforcement after `holdfast off`."),
    "release": (
        "guard.cli.release",
        "Delete Guards and let go of their objects, for an uninstall.",
    ),
    "apply": ("guard.cli.apply", "Apply the Guards in FILE, a List in JSON."),
    "version": ("guard.cli.version", "Show the versions of this program and of the cluster."),
    "guard": ("guard.cli.processes", "Run the guard process."),
    "webhook": ("guard.cli.processes", "Run the admission webhook."),
}
"""Each command with its module and its summary, so that help needs no import."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command; None if there is no such one."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the section of the help that lists the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 in sync, 1 drift, 2 error.",
)
@options.debug
def root() -> None:
    """Keep a Kubernetes cluster equal to its source."""


def main(args: Sequence[str] | None = None, program: str | None = None) -> int:
    """Run the program and give its exit status; ``args`` and ``program`` are those of the shell."""
    args = sys.argv[1:] if args is None else args
    program = Path(sys.argv[0]).name if program is None else program
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks must not end the program.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = root.main(list(args), prog_name=_shown(program), standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ERROR
    except Exception as error:  # noqa: BLE001 - the last boundary: every error gets its sentence
        return _report(error, with_traceback="--debug" in args)
    return status if isinstance(status, int) else IN_SYNC


def _shown(program: str) -> str:
    """Name the program as it was called: kubectl finds a plugin by its file name."""
    return "kubectl holdfast" if program.startswith("kubectl-holdfast") else "holdfast"


def _report(error: Exception, *, with_traceback: bool) -> int:
    if with_traceback:
        traceback.print_exception(error)
    for leaf in cli_errors.leaves(error):
        if isinstance(leaf, errors.HoldfastError):
            output.tell(f"Error: {output.clean(str(leaf))}")
        else:
            # Its text is not for people, and may hold what should not be seen.
            hint = "" if with_traceback else " Run it again with --debug to see where."
            output.tell(f"Error: a fault of holdfast itself ({type(leaf).__name__}).{hint}")
    return ERROR


if __name__ == "__main__":
    sys.exit(main())
