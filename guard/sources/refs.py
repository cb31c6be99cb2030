"""Finding the commit that a ref names in the output of ``git ls-remote``."""

import difflib
import re
from typing import Final

from guard.sources import errors

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHORT_COMMIT: Final = re.compile(r"[0-9a-f]{7,39}")
# What git check-ref-format refuses, and a leading "-", which git would take for an option.
_NOT_IN_REF: Final = re.compile(r"^[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|\.lock$|^$|^@$")
_HEADS: Final = "refs/heads/"
_TAGS: Final = "refs/tags/"
_SHOWN: Final = 3


def is_commit(ref: str) -> bool:
    """Tell if a ref is a full commit id: 40 lower-case hex digits."""
    return _COMMIT.fullmatch(ref) is not None


def check(ref: str) -> None:
    """Raise UnknownRef for what cannot be the name of a ref, before git sees it."""
    if _NOT_IN_REF.search(ref):
        message = f"{ref!r} is no valid name of a branch, a tag or a commit."
        raise errors.UnknownRef(message)


def candidates(ref: str) -> tuple[str, ...]:
    """Give the full names that a ref may stand for, the first that exists being the right one.

    A branch comes before a tag of the same name, as ``git clone --branch`` has it. Annotated tags
    are peeled: the name with ``^{}`` is the commit, the one without it the tag object.
    """
    if ref == "HEAD":
        return ("HEAD",)
    if ref.startswith("refs/"):
        return (f"{ref}^{{}}", ref)
    return (f"{_HEADS}{ref}", f"{_TAGS}{ref}^{{}}", f"{_TAGS}{ref}")


def parse(listing: str) -> dict[str, str]:
    """Read the output of ls-remote: full names (peeled ones with ``^{}``) to object ids."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        commit, separator, name = line.partition("\t")
        if separator and is_commit(commit) and name.isprintable():
            found[name] = commit
    return found


def choose(ref: str, advertised: dict[str, str]) -> str | None:
    """Give the commit that the ref names, or None where nothing has that name."""
    return next((advertised[name] for name in candidates(ref) if name in advertised), None)


def unknown(ref: str, advertised: dict[str, str], *, shown: str) -> errors.UnknownRef:
    """Make the error of a ref that nothing has, with names like it. ``shown`` is the URL."""
    names = {
        name.removeprefix(prefix).removesuffix("^{}")
        for name in advertised
        for prefix in (_HEADS, _TAGS)
        if name.startswith(prefix)
    }
    if not names:
        return errors.UnknownRef(f"{shown} has no branch and no tag, so no {ref} either.")
    sentence = f"{shown} has no branch or tag {ref}."
    if _SHORT_COMMIT.fullmatch(ref):
        sentence += " A commit is named by all its 40 hex digits."
    similar = difflib.get_close_matches(ref, sorted(names), n=_SHOWN)
    if similar:
        sentence += f" Similar: {', '.join(similar)}."
    return errors.UnknownRef(sentence)
