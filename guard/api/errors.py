"""Errors of the custom resources.

::

ApiError
├── InvalidDuration     a text that is no duration like 30s
├── InvalidGuard        a Guard's spec with one or more faults
└── UnsupportedSchema   a Python type that no structural schema can express
"""

import dataclasses
from collections.abc import Iterable

from guard import errors


class ApiError(errors.HoldfastError):
    """A custom resource, or a type that describes one, says something impossible."""


class InvalidDuration(ApiError):
    """A text that is no duration as the custom resources write them."""

    def __init__(self, text: object) -> None:
        super().__init__(f"{text!r} is no duration; write it like 30s, 5m or 1h30m")


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the path of the field (``spec.source.git.url``), and what it must be."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path} {self.message}"


class InvalidGuard(ApiError):
    """A Guard's spec that cannot be followed; ``faults`` lists all that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("the Guard is not valid: " + "; ".join(map(str, self.faults)))


class UnsupportedSchema(ApiError):
    """A Python type that no structural schema can express; ``where`` names the field."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"{where or 'the type'} cannot be written as a structural schema: {reason}"
        )
