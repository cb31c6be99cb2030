"""What a probe of the webhook looks like: its label, and the words that refuse it. Pure.

The webhook writes these words and the guard process reads them, perhaps in another version during
an upgrade: they are a contract.
"""

import re
from typing import Final, NamedTuple

LABEL: Final = "holdfast.dev/probe"
"""On what a probe pretends to write, with the probe's number. It is never stored: a review of a dry
run whose new object carries it is refused, whoever asks."""

_DENIAL: Final = re.compile(r"holdfast probe (\S+) refused by (\S+)")


class Refusal(NamedTuple):
    """What a refused probe says: its number, and the replica that refused it."""

    nonce: str
    replica: str


def denial(nonce: str, replica: str) -> str:
    """Word the refusal of a probe; neither of the two may hold white space."""
    return f"holdfast probe {nonce} refused by {replica}"


def read(message: str) -> Refusal | None:
    """Find a probe's refusal in the text of a denial; None if it is about something else."""
    found = _DENIAL.search(message)
    return None if found is None else Refusal(found[1], found[2])
