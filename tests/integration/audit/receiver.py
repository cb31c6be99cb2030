"""A guard process as far as webhook pods' records go: takes them into a store until it is killed.

Started by the tests of this folder as ``receiver.py STATE PORT CERTIFICATES IDENTITY``; the folder
of certificates holds ca.crt, guard.crt and guard.key. Prints ``ready`` once the store is open.
"""

import asyncio
import ssl
import sys
from pathlib import Path

from guard.audit import storing, tls


async def _main() -> None:
    state, port, certificates, identity = sys.argv[1:]
    folder = Path(certificates)

    async def context() -> ssl.SSLContext:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return tls.server_context(
            ca_pem=(folder / "ca.crt").read_bytes(),
            cert_pem=(folder / "guard.crt").read_bytes(),
            key_pem=(folder / "guard.key").read_bytes(),
        )

    settings = storing.RecordIntake(
        tls=context, identity=identity, host="127.0.0.1", port=int(port)
    )
    await storing.run(Path(state), record_intake=settings)


if __name__ == "__main__":
    asyncio.run(_main())
