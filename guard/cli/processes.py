"""`holdfast guard` and `holdfast webhook`: the long-running processes."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from guard.api import names
from guard.cli import logs, options, running

DEFAULT_RELEASE: Final = names.DEFAULT_INSTALLATION.rpartition("/")[2]
DEFAULT_PORT: Final = 10250
DEFAULT_METRICS_PORT: Final = 8080

Function = TypeVar("Function", bound=Callable[..., Any])


def default_hosts(release: str, namespace: str) -> tuple[str, ...]:
    """Give the names by which the API server reaches the webhook's Service."""
    service = f"{release}-webhook.{namespace}.svc"
    return service, f"{service}.cluster.local"


def _process(function: Function) -> Function:
    """Add the options that both processes share.

    The first five are, by their names, the fields that both Options begin with.
    """
    for decorate in (
        click.option(
            "--log-level", type=click.Choice(logs.LEVELS), default="info", show_default=True
        ),
        click.option(
            "--log-format", type=click.Choice(logs.FORMATS), default="json", show_default=True
        ),
        click.option(
            "--uvloop/--no-uvloop", default=True, help="Use uvloop if it is installed (default)."
        ),
        options.state,
        click.option(
            "--release",
            default=DEFAULT_RELEASE,
            show_default=True,
            help="The name of the Helm release.",
        ),
        click.option(
            "-n",
            "--namespace",
            default=names.DEFAULT_NAMESPACE,
            show_default=True,
            help="The namespace of the installation.",
        ),
        options.cluster,
    ):
        function = decorate(function)
    return function


@options.command("guard")
@_process
@click.option(
    "--allow-insecure-sources",
    is_flag=True,
    help="Let Guards name http:// and file:// sources; for tests and demos.",
)
@click.option(
    "--webhook-host",
    "webhook_hosts",
    multiple=True,
    metavar="NAME",
    help="A name or address in the webhook's certificate; may be given more than once. "
    "The names of the webhook's Service by default.",
)
@click.option(
    "--intake-port",
    type=click.IntRange(1, 65_535),
    help="Take audit records from webhook pods on this port, by mutual TLS; not at all by default.",
)
@click.option(
    "--reading-port",
    type=click.IntRange(1, 65_535),
    help="Let `holdfast audit` and `status` read the store on this port of the pod's loopback, "
    "through a port-forward; not at all by default.",
)
@click.option(
    "--certificates",
    type=click.Choice(["self", "given"]),
    default="self",
    show_default=True,
    help="Make and renew the certificate, or use what is given in its Secret.",
)
def guard_command(
    *,
    uvloop: bool,
    log_format: str,
    log_level: str,
    allow_insecure_sources: bool,
    webhook_hosts: tuple[str, ...],
    certificates: str,
    **installation: Any,
) -> int:
    """Run the guard process.

    It applies what the sources of all Guards declare, watches the objects, restores what drifts,
    and stores the audit records of itself and of the webhook below --state.

    Exit status: 0 after SIGTERM or SIGINT, 2 if it cannot run.
    """
    from certs import rotation
    from guard.cli import guard_process

    logs.configure(log_format, log_level)
    settings = guard_process.Options(
        allow_insecure_sources=allow_insecure_sources,
        certificates=rotation.Mode(certificates),
        webhook_hosts=webhook_hosts
        or default_hosts(installation["release"], installation["namespace"]),
        **installation,
    )
    return running.serve(lambda stop: guard_process.run(settings, stop), use_uvloop=uvloop)


@options.command("webhook")
@_process
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen on.")  # noqa: S104 - the API server comes from outside of the pod
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    help="The port for admission reviews, by TLS.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_METRICS_PORT,
    show_default=True,
    help="The port for /healthz, /readyz and /metrics.",
)
@click.option(
    "--intake-url",
    default="",
    metavar="URL",
    help="Hand audit records over to the guard process at this https:// address. By default they "
    "stay below --state, where a guard process on the same machine takes them.",
)
def webhook_command(
    *,
    uvloop: bool,
    log_format: str,
    log_level: str,
    host: str,
    port: int,
    metrics_port: int,
    **installation: Any,
) -> int:
    """Run the admission webhook.

    It judges edits of guarded objects by the Guards and inventories in the cluster, and leaves its
    audit records below --state, from where the guard process stores them.

    Exit status: 0 after SIGTERM or SIGINT, 2 if it cannot run.
    """
    from guard.cli import webhook_process

    logs.configure(log_format, log_level)
    settings = webhook_process.Options(
        host=host, port=port, metrics_port=metrics_port, **installation
    )
    return running.serve(lambda stop: webhook_process.run(settings, stop), use_uvloop=uvloop)
