"""A process that records: appends to a spool for ever, and prints each id once it is safe.

Started by the tests of this folder as ``writer.py ROOT WRITER [MAX_FILE_BYTES]``. With a size limit
it goes on when the limit is hit: prints ``full``, lifts the limit, appends three more and ends.
"""

import itertools
import os
import resource
import sys
import time
from pathlib import Path

from guard.audit import errors, record, spool


def _make(number: int) -> record.Record:
    now_ns = time.time_ns()
    return record.Record(
        id=record.new_id(now_ns, os.urandom(8)),
        time=record.timestamp(now_ns),
        guard="shop/shop-prod",
        object=record.ObjectRef(kind="ConfigMap", namespace="shop", name=f"conf-{number}"),
        verdict="Denied",
        message="x" * (number % 7 * 300),
    )


def main() -> None:
    """Append until killed, or past a full disk."""
    root, writer, *limit = sys.argv[1:]
    opened = spool.Spool(Path(root), writer=writer, max_segment_bytes=50_000)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), resource.RLIM_INFINITY))
    left = itertools.count()
    for number in itertools.count():
        made = _make(number)
        try:
            opened.append(made)
        except errors.SpoolFull:
            os.write(1, b"full\n")
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            left = iter(range(3))
            continue
        os.write(1, made.id.encode() + b"\n")
        if next(left, None) is None:
            return


if __name__ == "__main__":
    main()
