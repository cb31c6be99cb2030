"""What can go wrong while a revision is looked up or read.

The tree::

    HoldfastError
    └── SourceError                the loop keeps what was applied, and tries again
        ├── RefusedUrl             no URL, or a scheme that this process does not allow
        ├── RefusedPath            a path that leaves the repository
        ├── Unreachable            no server, no network, or no answer in time
        ├── Unauthorized           the server wants credentials, or other ones
        ├── UntrustedServer        somebody else may be answering
        │   ├── UnknownHostKey     the SSH host key is not the known one
        │   └── UntrustedCertificate  the TLS certificate has no known authority
        ├── RepositoryNotFound     the server knows no such repository
        ├── UnknownRef             no such branch, tag or commit
        ├── EmptyPath              nothing to read below the path at that commit
        ├── TreeTooLarge           more bytes below the path than a guard process takes
        ├── MirrorBusy             another process is working on the mirror
        ├── CorruptMirror          the local copy is damaged and could not be rebuilt
        └── GitFailed              git is missing, or failed in a way of its own

No text holds credentials: URLs are shown without user, password and query.
"""

from guard import errors


class SourceError(errors.HoldfastError):
    """A revision could not be looked up or read."""


class RefusedUrl(SourceError):
    """The URL cannot be used, or may not."""


class RefusedPath(SourceError):
    """The path is not one inside a repository."""


class Unreachable(SourceError):
    """The server does not answer."""


class Unauthorized(SourceError):
    """The server refuses us without credentials, or with these."""


class UntrustedServer(SourceError):
    """The server could not prove who it is."""


class UnknownHostKey(UntrustedServer):
    """The SSH host key is unknown or changed."""


class UntrustedCertificate(UntrustedServer):
    """The TLS certificate cannot be verified."""


class RepositoryNotFound(SourceError):
    """The server answers, but not for this repository."""


class UnknownRef(SourceError):
    """The repository has no such branch, tag or commit."""


class EmptyPath(SourceError):
    """At that commit nothing below the path can be rendered: never a reason to delete."""


class TreeTooLarge(SourceError):
    """The files below the path exceed the limit."""


class MirrorBusy(SourceError):
    """The lock of the mirror could not be had in time."""


class CorruptMirror(SourceError):
    """The mirror is damaged."""


class GitFailed(SourceError):
    """git did not do what was asked, for a reason that has no class of its own."""
