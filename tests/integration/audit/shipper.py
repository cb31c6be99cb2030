"""A webhook pod as far as records go: ships a spool to an intake until it is killed.

Started by the tests of this folder as ``shipper.py ROOT URL CERTIFICATES [flush]``. With ``flush``
it ships what is there and ends. CERTIFICATES is a folder with ca.crt, webhook.crt and webhook.key.
"""

import asyncio
import sys
from pathlib import Path

from guard.audit import shipping, tls


async def _main() -> None:
    root, url, certificates, *rest = sys.argv[1:]
    folder = Path(certificates)
    context = tls.client_context(
        ca_pem=(folder / "ca.crt").read_bytes(),
        cert_pem=(folder / "webhook.crt").read_bytes(),
        key_pem=(folder / "webhook.key").read_bytes(),
    )
    async with shipping.Shipper(
        Path(root), url=url, tls=lambda: context, poll_seconds=0.001
    ) as shipper:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if rest:
            sys.exit(0 if await shipper.flush(within_seconds=30) else 1)
        await shipper.run()


if __name__ == "__main__":
    asyncio.run(_main())
