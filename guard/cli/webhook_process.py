"""The webhook process as a command starts it: a connection, and webhook.process on it."""

import asyncio
import dataclasses
from pathlib import Path

from guard.cluster import client as clients
from webhook import process


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run; see ``webhook.process.Options``."""

    kubeconfig: Path | None
    context: str | None
    namespace: str
    release: str
    state: Path
    host: str
    port: int
    metrics_port: int
    intake_url: str = ""


async def run(options: Options, stop: asyncio.Event) -> None:
    """Run the webhook until ``stop`` is set. Raises what ``webhook.process.run`` raises."""
    async with await clients.Client.connect(
        kubeconfig=options.kubeconfig, context=options.context, user_agent="holdfast-webhook"
    ) as client:
        await process.run(
            process.Options(
                namespace=options.namespace,
                release=options.release,
                state=options.state,
                host=options.host,
                port=options.port,
                metrics_port=options.metrics_port,
                intake_url=options.intake_url,
            ),
            client,
            stop=stop,
        )
