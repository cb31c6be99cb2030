"""What can go wrong with audit records.

The tree::

    HoldfastError
    └── AuditError
        ├── UnreadableRecord      bytes that are no record
        ├── UnwritableRecord      a record that JSON cannot hold
        ├── SpoolUnwritable       the record was not written: the caller must not count on it
        │   └── SpoolFull         ... for want of room; the next append works once there is some
        ├── StoreMissing          there is no store at that path
        ├── StoreTooNew           written by a newer Holdfast than this one
        └── StoreUnavailable      locked, full, read-only or damaged: try again, nothing is lost

No text quotes a record or a statement's parameters: either may hold what should not be seen.
"""

from pathlib import Path

from guard import errors


class AuditError(errors.HoldfastError):
    """Writing or reading audit records failed."""


class UnreadableRecord(AuditError):
    """Bytes are no record that this version can read."""

    def __init__(self) -> None:
        super().__init__("these bytes are no audit record")


class UnwritableRecord(AuditError):
    """A record holds a value that has no JSON form."""

    def __init__(self, identity: str, title: str) -> None:
        super().__init__(f"audit record {identity} about {title} holds a value that is no JSON")


class SpoolUnwritable(AuditError):
    """A record could not be appended to the spool; nothing of it is left there."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"the audit spool {folder} cannot be written: {why}")
        self.folder = folder


class SpoolFull(SpoolUnwritable):
    """The disk, the quota or the file size limit left no room for a record."""


class StoreMissing(AuditError):
    """There is no audit store at the given path."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no audit store at {path}; the guard process makes it")
        self.path = path


class StoreTooNew(AuditError):
    """The store's schema is newer than this program knows."""

    def __init__(self, path: Path, *, found: int, known: int) -> None:
        super().__init__(
            f"the audit store {path} was written by a newer Holdfast"
            f" (schema {found}, this one knows {known})"
        )
        self.path = path


class StoreUnavailable(AuditError):
    """The store cannot be used now: locked, full, read-only, damaged."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the audit store {path} cannot be used: {why}")
        self.path = path
