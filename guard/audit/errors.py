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
        ├── StoreUnavailable      locked, full, read-only or damaged: try again, nothing is lost
        ├── IntakeUnavailable     records cannot be handed to the guard process: they stay here
        ├── UnusableCertificate   certificate, key and CA cannot be used together
        ├── BadParcel             a body that is no batch of records
        ├── BadQuery              a question that the guard process's records cannot answer
        └── ReadingFailed         the guard process could not be asked, or did not answer

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


class IntakeUnavailable(AuditError):
    """The record intake took nothing: what was to be handed over stays in the spool.

    ``retry_after_seconds`` is what the intake asks for; None where it asks for nothing.
    """

    def __init__(self, url: str, why: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"the record intake {url} takes no records: {why}")
        self.retry_after_seconds = retry_after_seconds


class UnusableCertificate(AuditError):
    """Certificate, key and CA for the record intake cannot be used together."""

    def __init__(self) -> None:
        super().__init__("the certificate, key and CA for the record intake cannot be used")


class BadParcel(AuditError):
    """A body is no batch of records; nothing of it is stored."""


class BadQuery(AuditError):
    """A parameter is unknown, or its value cannot be read."""


class ReadingFailed(AuditError):
    """The records of the guard process cannot be read from here."""
