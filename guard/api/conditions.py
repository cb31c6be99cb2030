"""Conditions of a status, as KEP-1623 defines metav1.Condition."""

import datetime as dt
import enum
from collections.abc import Iterable
from typing import Annotated, Final, Literal, NotRequired

import pydantic

# pydantic reads only this TypedDict before Python 3.12; it brings the package along.
from typing_extensions import TypedDict

from guard.api import schemas

READY: Final = "Ready"
"""True: the newest revision that was seen is applied whole."""

RECONCILING: Final = "Reconciling"
"""True: a revision is being applied. kstatus reads this name, and so do many tools."""

STALLED: Final = "Stalled"
"""True: nothing more will happen until a person changes something."""

DRIFTED: Final = "Drifted"
"""True: at least one object differs from the source, and stays so for now."""

MAX_MESSAGE_CHARS: Final = 32_768
"""The limit of metav1.Condition: the API server refuses a whole status above it."""

_MORE: Final = " …"


class Status(enum.StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@pydantic.with_config(use_attribute_docstrings=True)
class Condition(TypedDict):
    """One observation about the object, and since when it has held."""

    type: Annotated[
        str,
        pydantic.Field(min_length=1, max_length=316),
        pydantic.Field(pattern=r"^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"),
    ]
    """What is observed: Ready, Reconciling, Stalled or Drifted."""

    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""

    observedGeneration: NotRequired[schemas.Generation]
    """The metadata.generation of the spec on which this rests."""

    lastTransitionTime: schemas.Time
    """When the status last changed from one value to another."""

    reason: Annotated[
        str,
        pydantic.Field(
            min_length=1,
            max_length=1024,
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        ),
    ]
    """Why, in one word for programs."""

    message: Annotated[str, pydantic.Field(max_length=MAX_MESSAGE_CHARS)]
    """Why, in a sentence for a person."""


def find(conditions: Iterable[Condition], condition_type: str) -> Condition | None:
    """Give the condition of that type, or None."""
    for condition in conditions:
        if condition["type"] == condition_type:
            return condition
    return None


def set_condition(
    conditions: Iterable[Condition],
    condition_type: str,
    *,
    status: Status,
    reason: str,
    message: str,
    generation: int,
    now: dt.datetime,
) -> list[Condition]:
    """Give a new list in which the condition of that type says this; the others stay as they are.

    lastTransitionTime becomes ``now`` (an aware time) only when the status changes, as KEP-1623
    says: "since when" must not move with every pass. Too long a message is cut, since the server
    would refuse the whole status for it.
    """
    known = list(conditions)
    before = find(known, condition_type)
    since = _rfc3339(now)
    if before is not None and before["status"] == status.value:
        since = before["lastTransitionTime"]
    if len(message) > MAX_MESSAGE_CHARS:
        message = message[: MAX_MESSAGE_CHARS - len(_MORE)] + _MORE
    after = Condition(
        type=condition_type,
        status=status.value,
        observedGeneration=generation,
        lastTransitionTime=since,
        reason=reason,
        message=message,
    )
    if before is None:
        return [*known, after]
    return [after if condition is before else condition for condition in known]


def _rfc3339(moment: dt.datetime) -> str:
    """Write a time as metav1.Time does: UTC, whole seconds."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
