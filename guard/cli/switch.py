"""`holdfast off` and `holdfast on`: end all enforcement at once, and resume it."""

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from guard.api import names
from guard.cli import errors, options, output, running, session
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import switch

Function = TypeVar("Function", bound=Callable[..., Any])

_ATTEMPTS: Final = 20
_EVERY_SECONDS: Final = 0.1  # the API server's authorizer learns of a binding a moment later


def _installation(function: Function) -> Function:
    """Add the options that say which installation is meant."""
    function = click.option(
        "--release",
        default=names.DEFAULT_INSTALLATION.rpartition("/")[2],
        show_default=True,
        help="The name of the Helm release.",
    )(function)
    return click.option(
        "-n",
        "--namespace",
        default=names.DEFAULT_NAMESPACE,
        show_default=True,
        help="The namespace of the installation.",
    )(function)


def _reason(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.strip():
        message = "say why, for those who come after you."
        raise click.BadParameter(message)
    return value.strip()


@options.command("off")
@click.option(
    "--reason", required=True, metavar="TEXT", callback=_reason, help="Why; others will see it."
)
@_installation
@options.cluster
def off_command(
    *, reason: str, namespace: str, release: str, kubeconfig: Path | None, context: str | None
) -> int:
    """End all enforcement at once: nothing is refused or restored.

    Works with all pods of Holdfast dead: it creates a ClusterRoleBinding that the API server's own
    conditions ask for. The same with kubectl stands in docs/security.md.

    Exit status: 0 when it is off, 2 for an error.
    """
    running.run(_off(reason, namespace, release, kubeconfig=kubeconfig, context=context))
    output.emit(
        f"Enforcement is off: {release} in {namespace} refuses and restores nothing"
        " until `holdfast on`.\n"
    )
    return 0


@options.command("on")
@_installation
@options.cluster
def on_command(
    *, namespace: str, release: str, kubeconfig: Path | None, context: str | None
) -> int:
    """Resume all enforcement after `holdfast off`.

    Exit status: 0 when it is on, 2 for an error.
    """
    was_off = running.run(_on(namespace, release, kubeconfig=kubeconfig, context=context))
    output.emit("Enforcement is on again.\n" if was_off else "Enforcement was on already.\n")
    return 0


async def _off(
    reason: str, namespace: str, release: str, *, kubeconfig: Path | None, context: str | None
) -> None:
    """Switch off, and see that it works. Raises AlreadyOff, NoSwitch, WithoutEffect."""
    async with session.connected(kubeconfig, context) as client:
        try:
            await switch.turn_off(
                client,
                namespace=namespace,
                release=release,
                by=await _me(client),
                reason=reason,
                now=dt.datetime.now(dt.UTC),
            )
        except cluster_errors.NotFound as error:
            raise errors.NoSwitch(switch.binding_name(release), client.server) from error
        except cluster_errors.Conflict as error:
            found = await switch.standing(client, release=release) or switch.Standing()
            raise errors.AlreadyOff(found.by, found.since, found.reason) from error
        if not await _settled(client, namespace, release, wanted=True):
            raise errors.WithoutEffect(switch.binding_name(release))


async def _on(
    namespace: str, release: str, *, kubeconfig: Path | None, context: str | None
) -> bool:
    """Switch on, and see that it works; tell whether it was off. Raises StillOff."""
    async with session.connected(kubeconfig, context) as client:
        was_off = await switch.turn_on(client, release=release)
        if not await _settled(client, namespace, release, wanted=False):
            raise errors.StillOff(namespace, release)
        return was_off


async def _me(client: clients.Client) -> str:
    """Ask the API server who is calling."""
    review = await client.request(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    return str(review["status"]["userInfo"].get("username") or "")


async def _settled(client: clients.Client, namespace: str, release: str, *, wanted: bool) -> bool:
    """Wait a moment until RBAC answers as wanted. Who may not ask RBAC takes it for granted."""
    for _ in range(_ATTEMPTS):
        try:
            if await switch.is_off(client, namespace=namespace, release=release) is wanted:
                return True
        except cluster_errors.Forbidden:
            return True
        await asyncio.sleep(_EVERY_SECONDS)
    return False
