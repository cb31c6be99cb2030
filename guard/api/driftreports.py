"""DriftReport: what stays different from the source, readable; one for each Guard with drift."""

from typing import Annotated, Final, Literal, NotRequired

import pydantic

# pydantic reads only this TypedDict before Python 3.12; it brings the package along.
from typing_extensions import TypedDict

from guard.api import schemas, verdicts

KIND: Final = "DriftReport"
PLURAL: Final = "driftreports"

MAX_DRIFTS: Final = 500
"""Objects in one report. With more, ``truncated`` is set: nobody reads 500 drifts one by one."""

MAX_FIELDS: Final = 100
"""Fields shown of one object."""

MAX_VALUE_CHARS: Final = 4096
"""Characters of one expected or live value, as JSON. A longer one is shortened by the writer."""

MAX_MESSAGE_CHARS: Final = 4096


@pydantic.with_config(use_attribute_docstrings=True)
class DriftObject(TypedDict):
    """Which object it is."""

    group: NotRequired[str]
    """The API group; empty or left out for the core group."""

    version: str
    """The API version in which the source declares it."""

    kind: Annotated[str, pydantic.Field(min_length=1)]
    """The kind."""

    namespace: NotRequired[str]
    """The namespace; empty or left out for a cluster-scoped object."""

    name: Annotated[str, pydantic.Field(min_length=1)]
    """The name."""

    uid: NotRequired[str]
    """The uid of the live object; empty or left out when it is missing."""


@pydantic.with_config(use_attribute_docstrings=True)
class DriftField(TypedDict):
    """One field that differs."""

    path: str
    """Where it is, like spec.template.spec.containers[name=app].image."""

    kind: verdicts.ChangeKind
    """How it differs."""

    expected: NotRequired[Annotated[str, pydantic.Field(max_length=MAX_VALUE_CHARS)]]
    """What the source says, as JSON; left out when the source says nothing.
    A secret value is a keyed hash (hash:...)."""

    live: NotRequired[Annotated[str, pydantic.Field(max_length=MAX_VALUE_CHARS)]]
    """What the cluster holds, as JSON; left out when it holds nothing.
    A secret value is a keyed hash (hash:...)."""


@pydantic.with_config(use_attribute_docstrings=True)
class Drift(TypedDict):
    """One object that is not as the source says."""

    object: DriftObject
    """Which object it is."""

    state: Literal["Drifted", "Failed", "Orphaned"]
    """Drifted: it differs. Failed: it could not be applied. Orphaned: the source has it no more."""

    since: schemas.Time
    """When this was first seen."""

    file: NotRequired[str]
    """The file of the source that declares it."""

    message: NotRequired[Annotated[str, pydantic.Field(max_length=MAX_MESSAGE_CHARS)]]
    """Why it stays so, in a sentence for a person."""

    fields: Annotated[
        list[DriftField],
        pydantic.Field(max_length=MAX_FIELDS, json_schema_extra={schemas.LIST_TYPE: "atomic"}),
    ]
    """The fields that differ; empty when the whole object is missing or failed."""


@pydantic.with_config(use_attribute_docstrings=True)
class DriftReportSpec(TypedDict):
    """All that stays different from the source, as of the last pass."""

    guard: Annotated[str, pydantic.Field(min_length=1, max_length=253)]
    """The name of the Guard, in the same namespace."""

    revision: Annotated[str, pydantic.Field(max_length=1024)]
    """The revision with which the live objects were compared."""

    drifted: NotRequired[schemas.Count]
    """How many objects differ, those that are not listed included."""

    truncated: bool
    """Whether there is more drift than is listed here."""

    # An object is named by several nested fields, and a list map knows only flat keys: atomic. One
    # writer replaces it whole.
    drifts: Annotated[
        list[Drift],
        pydantic.Field(max_length=MAX_DRIFTS, json_schema_extra={schemas.LIST_TYPE: "atomic"}),
    ]
    """The objects that differ."""
