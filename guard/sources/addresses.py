"""Which URLs may be given to git at all."""

import hashlib
import re
from collections.abc import Set as AbstractSet
from typing import Final

from guard.sources import errors, source

_NOT_IN_URL: Final = re.compile(r"[\x00-\x20\x7f]")
_WITH_SCHEME: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9]*)://(?P<rest>.+)")
# User and host never begin with "-": ssh would take them for options (CVE-2017-1000117).
_HOST: Final = re.compile(r"(?:[^-@/][^@/]*@)?[A-Za-z0-9_\[][^@/]*(?:/.*)?")
_SCP_LIKE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9_\[][^:/]*:[^:].*")
_KEY_HEX_DIGITS: Final = 32


def check(url: str, *, allowed_schemes: AbstractSet[str]) -> str:
    """Give the scheme of a URL that git may be given; raise RefusedUrl for any other.

    ``user@host:path`` is ssh. git's own remote helpers (``ext::``, which runs commands, and the
    like) are not URLs here.
    """
    if _NOT_IN_URL.search(url):
        message = "The URL of the repository holds spaces or control characters."
        raise errors.RefusedUrl(message)
    shown = source.shown_url(url)
    found = _WITH_SCHEME.fullmatch(url)
    if found is not None:
        scheme = found["scheme"]
        well_formed = (
            found["rest"].startswith("/") if scheme == "file" else _HOST.fullmatch(found["rest"])
        )
    else:
        scheme = "ssh"
        well_formed = _SCP_LIKE.fullmatch(url)
    if not well_formed:
        message = (
            "The URL of the repository is not like https://host/path, ssh://user@host/path "
            "or user@host:path."
        )
        raise errors.RefusedUrl(message)
    if scheme not in allowed_schemes:
        allowed = ", ".join(sorted(allowed_schemes))
        message = f"{shown}: the scheme {scheme} is not allowed here, only {allowed}."
        raise errors.RefusedUrl(message)
    return scheme


def mirror_name(url: str) -> str:
    """Give the name of the mirror of a URL: a hash, since a URL may hold anything."""
    return hashlib.sha256(url.encode()).hexdigest()[:_KEY_HEX_DIGITS]
