"""`holdfast apply`: the Guards in a file, as the Job of the chart applies them.

Helm cannot do it: in one release with their definition it refuses Guards, and as hooks it deletes
them with each upgrade (the default of helm.sh/hook-delete-policy), and their inventories with them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import orjson

from guard import errors
from guard.api import guards, names, objects
from guard.cli import options, output, running, session
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import timing

MANAGER: Final = "holdfast-values"
"""The field manager of what an install's values say about Guards."""

SERVED_WITHIN_SECONDS: Final = 60.0
"""How long a definition that was just installed may take until its kind is served."""

_APPLIED: Final = 0
_FAILED: Final = 2


def parsed(content: bytes) -> list[objects.RawObject]:
    """Read a List of Guards, each with a name and a namespace, from JSON.

    Raises ValueError with a sentence for anything else, and InvalidGuard for a spec that cannot be
    followed, with the name of the Guard before it.
    """
    found = orjson.loads(content)
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list):
        message = "it is no List of Guards in JSON"
        raise ValueError(message)  # noqa: TRY004 - wrong content of a file, not a wrong argument
    return [_checked(number, item) for number, item in enumerate(items, start=1)]


def _checked(number: int, item: Any) -> objects.RawObject:
    known = isinstance(item, dict) and (item.get("apiVersion"), item.get("kind")) == (
        names.API_VERSION,
        guards.KIND,
    )
    if not known or not all(objects.metadata_of(item).get(key) for key in ("name", "namespace")):
        message = f"its item {number} is no Guard ({names.API_VERSION}) with name and namespace"
        raise ValueError(message)
    return dict(item)


async def apply_all(
    client: clients.Client, wanted: Sequence[objects.RawObject], *, timing_: timing.Timing
) -> list[str]:
    """Apply the Guards, each for itself, and give a sentence for each that could not be.

    What other managers changed of what the Guards here say is taken back, as `helm upgrade` does it
    with all that is in a chart; what they added stays.
    """
    failed = []
    for guard in wanted:
        metadata = objects.metadata_of(guard)
        title = f"Guard {metadata['namespace']}/{metadata['name']}"
        try:
            guards.GuardSpec.parse(guard.get("spec") or {})
            await _apply(client, guard, timing_)
        except errors.HoldfastError as error:
            failed.append(f"{title} is not applied: {error}")
        else:
            output.emit(f"{title} is applied.\n")
    return failed


async def _apply(client: clients.Client, guard: objects.RawObject, timing_: timing.Timing) -> None:
    """Apply one Guard; wait for a while for its kind to be served. Raises ClusterError."""
    deadline = timing_.clock() + SERVED_WITHIN_SECONDS
    failures = 0
    while True:
        try:
            await verbs.apply(client, session.GUARDS, guard, manager=MANAGER, force=True)
        except cluster_errors.NotServed:
            failures += 1
            if timing_.clock() > deadline:
                raise
            await timing_.back_off(failures, max_seconds=2.0)
        else:
            return


async def _run(
    wanted: Sequence[objects.RawObject], kubeconfig: Path | None, context: str | None
) -> list[str]:
    async with session.connected(kubeconfig, context) as client:
        return await apply_all(client, wanted, timing_=timing.REAL)


@options.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.cluster
def apply_command(*, file: Path, kubeconfig: Path | None, context: str | None) -> int:
    """Apply the Guards in FILE, a List in JSON.

    This is what the chart does with the Guards in its values; people use kubectl. No Guard is ever
    deleted by it.

    Exit status: 0, or 2 if one could not be applied.
    """
    try:
        wanted = parsed(file.read_bytes())
    except ValueError as error:
        message = f"{file} cannot be used: {error}."
        raise click.UsageError(message) from error
    failed = running.run(_run(wanted, kubeconfig, context))
    for sentence in failed:
        output.tell(f"Error: {output.one_line(sentence, 2000)}")
    return _FAILED if failed else _APPLIED
