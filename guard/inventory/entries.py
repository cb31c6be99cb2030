"""What the inventory keeps of one guarded object. No values: only digests and paths."""

import dataclasses
import enum

from guard.api import keys
from guard.fields import fieldset


class State(enum.StrEnum):
    """How a guarded object fares."""

    PENDING = "Pending"
    SYNCED = "Synced"
    DRIFTED = "Drifted"
    FAILED = "Failed"
    ORPHANED = "Orphaned"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One guarded object.

    ``resource`` is the plural of its kind, ``digest`` that of the expected values (see
    ``guard.fields.digests``), ``sent`` tells whether the same manifest was applied last (it is the
    loop's, and empty where nothing was), ``replicas`` what the source declares, and ``file`` a path
    in the source. ``uid`` is empty until the object was first applied.
    """

    gvk: keys.GroupVersionKind
    key: keys.ObjectKey
    resource: str
    uid: str
    declared: fieldset.FieldSet
    digest: str
    replicas: int | None
    state: State
    file: str
    sent: str = ""
