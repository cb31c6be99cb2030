"""Inventory: what a Guard has applied, in shards. Written by the guard process with PUT.

The readable counters stand beside a compressed blob, since a shard of 500 objects is 800 KB as a
map in the API and 54 KB as a blob. What the blob holds is the business of guard.inventory.
"""

from typing import Annotated, Final

import pydantic

# pydantic reads only this TypedDict before Python 3.12; it brings the package along.
from typing_extensions import TypedDict

from guard.api import schemas

KIND: Final = "Inventory"
PLURAL: Final = "inventories"

MAX_SHARDS: Final = 1024

MAX_DATA_CHARS: Final = 4 * 349_526
"""Base64 of 1 MiB: above it etcd (1.5 MiB for a request) refuses the object with no clear word."""


@pydantic.with_config(
    use_attribute_docstrings=True,
    json_schema_extra={
        schemas.VALIDATIONS: [
            {"rule": "self.shard < self.shards", "message": "shard must be below shards"}
        ]
    },
)
class InventorySpec(TypedDict):
    """The part of a Guard's objects that this shard keeps."""

    guard: Annotated[str, pydantic.Field(min_length=1, max_length=253)]
    """The name of the Guard, in the same namespace."""

    shard: Annotated[
        int, pydantic.Field(ge=0, le=MAX_SHARDS - 1, json_schema_extra={"format": "int32"})
    ]
    """Which part this is, counted from 0."""

    shards: Annotated[
        int, pydantic.Field(ge=1, le=MAX_SHARDS, json_schema_extra={"format": "int32"})
    ]
    """Into how many parts the Guard's objects are split."""

    revision: Annotated[str, pydantic.Field(max_length=1024)]
    """The revision that was applied when this was written."""

    objects: schemas.Count
    """How many objects this shard keeps."""

    drifted: schemas.Count
    """How many of them differ from the source."""

    failed: schemas.Count
    """How many of them could not be applied."""

    data: Annotated[
        str, pydantic.Field(max_length=MAX_DATA_CHARS, json_schema_extra={"format": "byte"})
    ]
    """The objects with their declared fields and digests, gzipped JSON in base64.
    For Holdfast alone: holdfast explain and holdfast diff read it for people."""
