"""Durations as people write them in custom resources: ``30s``, ``5m``, ``1h30m``.

They are the whole-number part of what Go and CEL read as a duration, so that the API server's
``duration()`` and this module agree on every text that matches ``PATTERN``.
"""

import re
from typing import Final

from guard.api import errors

PATTERN: Final = (
    r"^([0-9]{1,5}h([0-9]{1,5}m)?([0-9]{1,5}s)?|[0-9]{1,5}m([0-9]{1,5}s)?|[0-9]{1,5}s)$"
)
"""Reads the same in Python and in RE2. Five digits a part keep the sum far below the 292 years
at which Go's duration overflows."""

_PARTS: Final = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,5})s)?")
_SECONDS: Final = (3600, 60, 1)


def parse_seconds(text: str) -> float:
    """Read a duration and give its seconds.

    Raises InvalidDuration for any text that ``PATTERN`` does not match.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None or not text:
        raise errors.InvalidDuration(text)
    return float(
        sum(int(part) * unit for part, unit in zip(parts.groups("0"), _SECONDS, strict=True))
    )
