"""Options that several commands share, and the form that all commands have."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click import core

from guard.api import names
from guard.cli import output

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_RELEASE: Final = names.DEFAULT_INSTALLATION.rpartition("/")[2]
DEFAULT_STATE: Final = Path("/var/lib/holdfast")
AUDIT_FILE: Final = "audit.db"
"""Below the state directory; the guard process writes it."""

_HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_PART: Final = re.compile(r"([0-9]+)([smhdw])")


def command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command. It returns its exit status; ``--debug`` belongs to every one."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name, context_settings=_HELP)(debug(function))

    return decorate


def debug(function: Function) -> Function:
    """Add ``--debug``. It is looked for by ``main`` before anything is parsed."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show a traceback with an error."
    )(function)


def cluster(function: Function) -> Function:
    """Add ``--kubeconfig`` and ``--context``, which say which API server is asked."""
    function = click.option("--context", metavar="NAME", help="The context of the kubeconfig.")(
        function
    )
    return click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The kubeconfig; else the variable KUBECONFIG, a pod's account, ~/.kube/config.",
    )(function)


def namespace(function: Function) -> Function:
    """Add ``-n``: the namespace of an object, else that of the context."""
    return click.option(
        "-n", "--namespace", metavar="NAME", default="", help="The namespace of the object."
    )(function)


def namespaces(function: Function) -> Function:
    """Add ``-n`` and ``-A`` to a command that looks at all namespaces unless told otherwise."""
    function = click.option(
        "-A",
        "--all-namespaces",
        is_flag=True,
        help="All namespaces, which is also what is looked at without -n.",
    )(function)
    return click.option(
        "-n", "--namespace", metavar="NAME", default="", help="Only this namespace."
    )(function)


def one_or_all(namespace_: str, *, all_namespaces: bool) -> str:
    """Give the namespace to look at, empty for all. Raises UsageError for both at once."""
    if namespace_ and all_namespaces:
        message = "-n and -A exclude each other."
        raise click.UsageError(message)
    return namespace_


def installation(function: Function) -> Function:
    """Add the options that say where Holdfast is installed, for what is asked of its pods."""
    function = click.option(
        "--release",
        metavar="NAME",
        default=DEFAULT_RELEASE,
        envvar="HOLDFAST_RELEASE",
        show_default=True,
        show_envvar=True,
        help="The Helm release of Holdfast.",
    )(function)
    return click.option(
        "--holdfast-namespace",
        metavar="NAME",
        default=names.DEFAULT_NAMESPACE,
        envvar="HOLDFAST_NAMESPACE",
        show_default=True,
        show_envvar=True,
        help="The namespace that Holdfast is installed in.",
    )(function)


def formats(function: Function) -> Function:
    """Add ``-o``."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(output.FORMATS),
        default="table",
        show_default=True,
        help="The form of the output.",
    )(function)


def state(function: Function) -> Function:
    """Add ``--state``: the directory with the audit store, the mirrors and the spools."""
    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        default=DEFAULT_STATE,
        envvar="HOLDFAST_STATE",
        show_default=True,
        show_envvar=True,
        help="The directory of the guard process; audit.db in it holds the records.",
    )(function)


def is_given(parameter: str) -> bool:
    """Tell whether whoever runs the command chose this option, by flag or variable."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source in {core.ParameterSource.COMMANDLINE, core.ParameterSource.ENVIRONMENT}


class Moment(click.ParamType[dt.datetime]):
    """A moment: how long ago (``1h``, ``2d``, ``1h30m``), a date, or RFC 3339. Gives it aware."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.datetime:
        """Read the text; as click asks for it, fails by ``self.fail``."""
        if isinstance(value, dt.datetime):
            return value
        try:
            return moment(str(value), now=dt.datetime.now().astimezone())
        except ValueError:
            self.fail(
                f"{value!r} is no time; write how long ago (1h, 2d), or a time like "
                "2026-01-31T08:00:00Z.",
                param,
                ctx,
            )


def moment(text: str, *, now: dt.datetime) -> dt.datetime:
    """Read a moment as ``Moment`` says; one without an offset is in the zone of ``now``.

    Raises ValueError for a text that is none.
    """
    if _DURATION.fullmatch(text):
        ago_seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))
        try:
            return now - dt.timedelta(seconds=ago_seconds)
        except OverflowError as error:
            message = f"{text} lies before all time"
            raise ValueError(message) from error
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is not None:
        return found
    # A time of the past is in the offset of then, not of now: they differ around summer time.
    return found.replace(tzinfo=now.tzinfo) if now.tzinfo is dt.UTC else found.astimezone()
