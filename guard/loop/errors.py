"""What a loop refuses to do with one object, or with a whole revision.

::

    LoopError
    ├── ObjectRefused         one object cannot be applied; the others go on
    │   ├── Misplaced         its namespace is outside the Guard's target
    │   ├── Duplicate         two manifests name one object
    │   ├── Unsendable        the manifest holds what no server could take
    │   ├── NotServed         the API server knows no such kind
    │   ├── Unsupported       its kind cannot be patched or watched
    │   ├── NotEstablished    a CustomResourceDefinition was applied but is not served yet
    │   ├── OwnershipConflict another Guard's mark is on it
    │   └── Unforeseen        a fault of ours, in the log with its traceback
    ├── PassFailed            a fault of ours with a whole revision, in the log with its traceback
    ├── EnforcementOff        the off switch is set
    └── NothingRendered       a revision holds no object at all: never a reason to let go of any
"""

from guard import errors
from guard.api import keys


class LoopError(errors.HoldfastError):
    """The root of this package's errors."""


class ObjectRefused(LoopError):
    """One object cannot be applied. Carries what a person needs to find it."""

    def __init__(self, key: keys.ObjectKey, file: str, line: int, sentence: str) -> None:
        super().__init__(f"{key.title} ({file}:{line}): {sentence}")
        self.key = key
        self.file = file
        self.line = line
        self.sentence = sentence


class Misplaced(ObjectRefused):
    """The manifest names a namespace outside the Guard's target."""


class Duplicate(ObjectRefused):
    """Two manifests name one object; neither is applied."""


class Unsendable(ObjectRefused):
    """The manifest holds what no server could take."""


class NotServed(ObjectRefused):
    """The API server serves no such kind."""


class Unsupported(ObjectRefused):
    """The API server serves the kind, but its objects cannot be kept: a review, a binding."""


class Unforeseen(ObjectRefused):
    """A fault of ours with this one object."""


class OwnershipConflict(ObjectRefused):
    """Another Guard's mark is on the object. Applying would make two Guards flip it."""


class NotEstablished(ObjectRefused):
    """A CustomResourceDefinition was applied, but the API server does not serve it yet."""


class PassFailed(LoopError):
    """A fault of ours stopped a whole revision; what was applied stays guarded."""

    def __init__(self, revision: str, error: Exception) -> None:
        super().__init__(
            f"{revision} could not be applied for a fault of Holdfast ({type(error).__name__}); "
            "its log tells more, and what was applied before stays guarded"
        )


class EnforcementOff(LoopError):
    """The off switch is set: nothing may be written to guarded objects."""

    def __init__(self) -> None:
        super().__init__(
            "enforcement is switched off: nothing is applied or restored until `holdfast on`"
        )


class NothingRendered(LoopError):
    """A revision was read without a fault, yet it holds no object (source-controller#350)."""

    def __init__(self, guard: object, revision: str) -> None:
        super().__init__(
            f"{revision} holds no manifest below spec.source.git.path of Guard {guard}; "
            "what was applied before stays guarded"
        )
