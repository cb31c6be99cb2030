"""`holdfast release`: delete Guards and let go of their objects."""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from guard.cli import options, output, releasing, running, session

_RELEASED: Final = 0
_FAILED: Final = 2

_HEADERS: Final = ("GUARD", "OBJECTS", "RELEASED", "FAILED")


def _installation(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say where Holdfast is installed; they come as ``installation``."""

    @functools.wraps(function)
    def call(*, holdfast_namespace: str, release: str, **others: Any) -> int:
        return function(installation=f"{holdfast_namespace}/{release}", **others)

    return options.installation(call)


def rendered(guards: Sequence[releasing.Release], *, is_dry: bool) -> str:
    """Write the table; after a dry run nothing is released yet."""
    rows = [
        (
            one.title,
            str(len(one.released) + len(one.failed)),
            output.ABSENT if is_dry else str(len(one.released)),
            str(len(one.failed)),
        )
        for one in guards
    ]
    return output.table(_HEADERS, rows, right=frozenset(_HEADERS[1:]))


def _confirm(guards: Sequence[releasing.Release]) -> None:
    """Ask on a terminal; in a script, whoever wrote it has decided. Raises click.Abort."""
    if not sys.stdin.isatty():
        return
    for one in guards:
        output.tell(f"{output.clean(one.title)}: {len(one.inventoried)} objects")
    question = "Delete these Guards and let go of their objects, which stay as they are?"
    click.confirm(question, abort=True, err=True)


async def _run(
    wanted: str,
    installation: str,
    *,
    namespace: str,
    is_dry: bool,
    is_sure: bool,
    kubeconfig: Path | None,
    context: str | None,
) -> list[releasing.Release]:
    async with session.connected(kubeconfig, context) as client:
        work = releasing.Releasing(client, installation=installation, is_dry=is_dry)
        guards = await work.find(wanted, namespace=namespace)
        if guards and not is_sure and not is_dry:
            _confirm(guards)
        await work.release(guards)
        return guards


@options.command("release")
@click.argument("guard", default="")
@click.option("--all", "is_all", is_flag=True, help="All Guards, with -n those of a namespace.")
@click.option("-n", "--namespace", metavar="NAME", default="", help="Only this namespace.")
@click.option("-y", "--yes", "is_sure", is_flag=True, help="Do not ask on a terminal.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only look; change nothing.")
@_installation
@options.cluster
def release_command(
    *,
    guard: str,
    is_all: bool,
    namespace: str,
    is_sure: bool,
    is_dry: bool,
    installation: str,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Delete Guards and let go of their objects, for an uninstall.

    GUARD is one Guard, as name or namespace/name. Its objects stay as they are; what goes is our
    label, annotation and managed fields, the inventory and the drift report. Run it again after a
    failure: it goes on where it stopped.

    Exit status: 0 if nothing of them is left, 2 if something failed.
    """
    if is_all == bool(guard):
        message = "name one Guard, or give --all."
        raise click.UsageError(message)
    guards = running.run(
        _run(
            guard,
            installation,
            namespace=namespace,
            is_dry=is_dry,
            is_sure=is_sure,
            kubeconfig=kubeconfig,
            context=context,
        )
    )
    if guards:
        output.emit(rendered(guards, is_dry=is_dry))
    else:
        output.tell("There is nothing to release.")
    failures = [sentence for one in guards for sentence in one.failed.values()]
    for sentence in failures:
        output.tell(f"Error: {output.one_line(sentence, 2000)}")
    if is_dry and guards:
        output.tell("This was a dry run: nothing is changed.")
    return _FAILED if failures else _RELEASED
