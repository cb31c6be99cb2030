"""`holdfast version`: of this program, and of the API server."""

import dataclasses
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import click

from guard import errors
from guard.cli import options, output

_DISTRIBUTION: Final = "kube-holdfast"
_TIMEOUT_SECONDS: Final = 3.0  # nobody waits longer for a version


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """What the API server said: its version, or why there is none."""

    version: str = ""
    server: str = ""
    fault: str = ""


def own() -> str:
    """Give the version of this program, from the metadata of the installed package."""
    try:
        return metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def rendered(client: str, cluster: Cluster | None) -> str:
    """Write the versions as lines; ``cluster`` is None where it was not asked."""
    lines = [f"Holdfast    {client}\n"]
    if cluster is not None and cluster.fault:
        lines.append(f"Kubernetes  unknown: {output.one_line(cluster.fault)}\n")
    elif cluster is not None:
        where = output.clean(cluster.server)
        lines.append(f"Kubernetes  {output.one_line(cluster.version)} ({where})\n")
    return "".join(lines)


def document(client: str, cluster: Cluster | None) -> dict[str, Any]:
    """Give the versions for programs; what was not asked for is left out."""
    found: dict[str, Any] = {"clientVersion": client}
    if cluster is not None and cluster.fault:
        found["serverFault"] = cluster.fault
    elif cluster is not None:
        found["serverVersion"] = cluster.version
        found["server"] = cluster.server
    return found


async def _ask(kubeconfig: Path | None, context: str | None) -> Cluster:
    from guard.cli import session

    try:
        async with session.connected(kubeconfig, context) as client:
            answer = await client.request("GET", "/version", timeout_seconds=_TIMEOUT_SECONDS)
            version = answer.get("gitVersion") if isinstance(answer, dict) else None
            return Cluster(version=str(version or "unknown"), server=client.server)
    except errors.HoldfastError as error:
        return Cluster(fault=str(error))


@options.command("version")
@click.option("--client", "client_only", is_flag=True, help="Only this program's version.")
@options.cluster
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="The form of the output.",
)
def version_command(
    *,
    client_only: bool,
    kubeconfig: Path | None,
    context: str | None,
    form: str,
) -> int:
    """Show the versions of this program and of the cluster.

    Exit status: 0, also where the API server cannot be reached.
    """
    cluster = None
    if not client_only:
        from guard.cli import running

        cluster = running.run(_ask(kubeconfig, context))
    if form == "table":
        output.emit(rendered(own(), cluster))
    else:
        output.emit(output.document(form, document(own(), cluster)))
    return 0
