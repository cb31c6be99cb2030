"""Guard specs, good and bad, for the Python types and for the API server alike."""

import copy
from typing import Any

MINIMAL: dict[str, Any] = {"source": {"git": {"url": "https://git.example/shop.git"}}}

FULL: dict[str, Any] = {
    "source": {
        "git": {
            "url": "https://git.example/shop.git",
            "ref": "main",
            "path": "apps",
            "interval": "1m30s",
        }
    },
    "target": {"namespace": "shop"},
    "admission": {"mode": "Flag"},
    "drift": {"restore": False},
}

_URL = "must be like https://host/repository.git"
_REF = "must be a branch, a tag, a full ref name or a commit"
_DURATION = "must be a duration like 30s, 5m or 1h30m"

REFUSED_BY_RULE = [
    ("source.git.url", "ftp://git.example/shop.git", _URL),
    ("source.git.url", "git.example/shop.git", _URL),
    ("source.git.url", "https:/git.example/shop.git", _URL),
    ("source.git.url", "https://", _URL),
    ("source.git.url", "https://git.example/a b", _URL),
    ("source.git.url", "ext::sh -c id", _URL),
    ("source.git.url", "ssh://-oProxyCommand=id/x", _URL),
    ("source.git.url", "ssh://-oProxyCommand=id@host/x", _URL),
    ("source.git.url", "-u@host:x", _URL),
    ("source.git.url", "/srv/git/shop.git", _URL),
    ("source.git.url", "file://host/shop.git", _URL),
    ("source.git.ref", "--upload-pack=id", _REF),
    ("source.git.ref", "a..b", _REF),
    ("source.git.ref", "main^", _REF),
    ("source.git.ref", "main branch", _REF),
    ("source.git.ref", "refs/heads/*", _REF),
    ("source.git.ref", "a:b", _REF),
    ("source.git.ref", "main@{1}", _REF),
    ("source.git.ref", "back\\slash", _REF),
    ("source.git.ref", "bell\x07", _REF),
    ("source.git.path", "/apps", "must be relative to the root of the repository, not absolute"),
    ("source.git.path", "..", 'must stay inside the repository, without ".."'),
    ("source.git.path", "apps/../../etc", 'must stay inside the repository, without ".."'),
    ("source.git.path", "apps\\prod", "must have no backslashes and no control characters"),
    ("source.git.path", "apps\nprod", "must have no backslashes and no control characters"),
    ("source.git.interval", "30", _DURATION),
    ("source.git.interval", "1.5h", _DURATION),
    ("source.git.interval", "500ms", _DURATION),
    ("source.git.interval", "0s", "must be at least 1s"),
    ("source.git.interval", "0h0m0s", "must be at least 1s"),
]
"""A field, a value that one of our own rules refuses, and how its message begins."""

ACCEPTED = [
    ("source.git.url", "https://git.example:8443/shop.git"),
    ("source.git.url", "https://user:word@git.example/shop.git"),
    ("source.git.url", "http://127.0.0.1:9/shop.git"),
    ("source.git.url", "ssh://git@git.example:2222/~/shop.git"),
    ("source.git.url", "ssh://git@[2001:db8::1]/shop.git"),
    ("source.git.url", "git@git.example:team/shop.git"),
    ("source.git.url", "git@git.example:/srv/git/shop.git"),
    ("source.git.url", "file:///srv/git/shop.git"),
    ("source.git.ref", "refs/tags/v1.2.3"),
    ("source.git.ref", "feature/größe#12+x"),
    ("source.git.ref", "3f2c1d9a0b8e7c6d5f4a3b2c1d0e9f8a7b6c5d4e"),
    ("source.git.path", "."),
    ("source.git.path", "apps/prod/"),
    ("source.git.path", "a..b/...c"),
    ("source.git.path", "with space/größe"),
    ("source.git.interval", "1s"),
    ("source.git.interval", "99999h59m59s"),
    ("target.namespace", "shop-1"),
    ("admission.mode", "Audit"),
    ("drift.restore", False),
]
"""A field and a value that is right."""


def with_field(path: str, value: Any) -> dict[str, Any]:
    """Give the minimal spec with one field set."""
    spec = copy.deepcopy(MINIMAL)
    *parents, name = path.split(".")
    part = spec
    for parent in parents:
        part = part.setdefault(parent, {})
    part[name] = value
    return spec
