"""What may never be shown, and what stands in its place: a hash keyed per object and path.

Everything that leaves the process with values in it (answers, warnings, records, reports, logs)
goes through a :class:`Masker` first. The rules lean towards hiding: of a Secret only what is known
to be harmless is shown (argo-cd#897, CVE-2025-23216, golang/vulndb#2049: each time the well-known
place was masked and another copy of the value was forgotten).
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from guard.api import keys, names, objects
from guard.fields import changes as changes_
from guard.fields import paths, values

PATTERNS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
)
"""What a secret-looking name contains, in lower case and without ``_``, ``-`` and ``.``."""

HASH_PREFIX: Final = "hash:"

_HASH_HEX_DIGITS: Final = 12  # 48 bits: enough to see that two values differ, short in a table

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

# Names that speak of a secret without holding it: secretName, secretRef, tokenSecretNamespace ...
_REFERENCES: Final = ("ref", "refs", "name", "names", "namespace", "seconds", "class")
_HARMLESS_BELOW: Final = frozenset({"kind", "group", "apiversion", "mode", "defaultmode", "type"})

# Of a Secret, everything else is hidden.
_SECRET_SHOWN: Final = frozenset({"apiVersion", "kind", "type", "immutable"})
_SECRET_METADATA_SHOWN: Final = frozenset(
    {"name", "namespace", "uid", "labels", "finalizers", "ownerReferences"}
)

# A whole text that tells a secret: `--db-password=x`, `token: x`, `"secret": "x"`, user:x@host.
# Every repetition is bounded or cannot begin again within itself: a value may be a megabyte of
# anything, and the search of it holds up all other reviews.
_TELLING_TEXT: Final = re.compile(
    r"(?:pass(?:word|wd|phrase)|secret|token|api[_.-]?key|access[_.-]?key|private[_.-]?key"
    r"|credential|authorization)[\w.-]{0,32}[\"']?\s{0,8}(?:=|:\s)\s{0,8}\S"
    r"|[a-z0-9+.-]://[^\s/:@]*:[^\s/@]+@"
    r"|https?://[^\s/@]+@"  # a token alone, as Git hosts take them
    r"|-----BEGIN [A-Z ]{0,64}PRIVATE KEY-----",
    re.IGNORECASE,
)
_FLAG: Final = re.compile(r"--?[\w.-]+\Z")

_MAX_STEPS: Final = 64
"""What lies deeper than that in a struct is shown as one hash. No real field does; a custom
resource may nest as deep as somebody likes, and neither Python nor orjson follows without end."""

_MIN_PLAIN_CHARACTERS: Final = 4  # shorter secrets are cut from a text only where they stand alone
_MASK: Final = "…"


def looks_secret(name: str, patterns: tuple[str, ...] = PATTERNS) -> bool:
    """Tell whether a field, data key or environment variable of that name holds a secret."""
    plain = _plain(name)
    return any(pattern in plain for pattern in patterns) and not plain.endswith(_REFERENCES)


def is_secret(key: keys.ObjectKey, path: paths.Path, patterns: tuple[str, ...] = PATTERNS) -> bool:
    """Tell whether the value at ``path`` of the object may not be shown.

    That is: nearly all of a Secret, kubectl's last-applied annotation (a copy of a whole object),
    fields whose name looks secret and what is below them, and the ``value`` beside a ``name`` that
    looks secret (environment variables, headers).
    """
    if key.kind == "Secret" and not _shown_of_a_secret(path):
        return True
    below = False
    last = len(path) - 1
    for position, step in enumerate(path):
        if isinstance(step, paths.Field):
            if step.name == _LAST_APPLIED:
                return True
            if looks_secret(step.name, patterns):
                below = True
        elif isinstance(step, paths.Key) and position < last:
            follows = path[position + 1]
            if (
                isinstance(follows, paths.Field)
                and follows.name == "value"
                and any(name == "name" and looks_secret(str(v), patterns) for name, v in step.items)
            ):
                return True
    return below and not _is_harmless(path)


def _shown_of_a_secret(path: paths.Path) -> bool:
    match [step.name for step in path[:3] if isinstance(step, paths.Field)]:
        case ["metadata", "annotations", name]:  # ours; anybody else's may hold a copy
            return name.startswith(f"{names.GROUP}/")
        case ["metadata", name, *_]:
            return name in _SECRET_METADATA_SHOWN
        case [name, *_]:
            return name in _SECRET_SHOWN
    return False


def _is_harmless(path: paths.Path) -> bool:
    """Tell whether the last name on a path below a secret-looking field only refers to something.

    ``volumes[].secret.secretName`` does, ``credentials.user`` does not.
    """
    for step in reversed(path):
        if isinstance(step, paths.Field):
            plain = _plain(step.name)
            return plain in _HARMLESS_BELOW or plain.endswith(_REFERENCES)
    return False


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(".", "")


@dataclasses.dataclass(frozen=True, slots=True)
class Masker:
    """Puts ``hash:<12 hex>`` in the place of every secret value.

    ``key`` is the installation's own random key (32 bytes): without it nobody can try out values.
    The same value at the same path of the same object gives the same hash in every process, so
    that a hash in a report can be compared with one made from a live object. ``patterns`` are
    :data:`PATTERNS`, or those and more.
    """

    key: bytes = dataclasses.field(repr=False)
    patterns: tuple[str, ...] = PATTERNS

    def value(self, key: keys.ObjectKey, path: paths.Path, value: Any) -> Any:
        """Give a JSON value as it may be shown; of a struct or list, each part by its own path.

        MISSING, null and booleans are given as they are: they hold no secret.
        """
        if value is values.MISSING or value is None or isinstance(value, bool):
            return value
        if isinstance(value, dict | list) and len(path) > _MAX_STEPS:
            return self._hash(key, path, value)
        if isinstance(value, dict):
            return self._struct(key, path, value)
        if isinstance(value, list):
            return self._list(key, path, value)
        if is_secret(key, path, self.patterns) or (
            isinstance(value, str) and _TELLING_TEXT.search(value)
        ):
            return self._hash(key, path, value)
        return value

    def path(self, key: keys.ObjectKey, path: paths.Path) -> paths.Path:
        """Give a path as it may be shown: it names an item of a set by its very value.

        So does the path of a list item whose key is a field with a secret-looking name.
        """
        return tuple(self._step(key, path[: at + 1]) for at in range(len(path)))

    def changes(
        self, key: keys.ObjectKey, changes: tuple[changes_.Change, ...]
    ) -> tuple[changes_.Change, ...]:
        """Give the changes of one object as they may be shown, paths and values."""
        return tuple(
            dataclasses.replace(
                change,
                path=self.path(key, change.path),
                old=self.value(key, change.path, change.old),
                new=self.value(key, change.path, change.new),
            )
            for change in changes
        )

    def redact(self, text: str, *, body: objects.RawObject) -> str:
        """Cut every secret value of ``body`` out of a text, plain, in base64 and escaped.

        For error texts of an API server, which may echo what was sent (the server quotes a whole
        Secret back when stringData holds a number).
        """
        found: set[str] = set()
        for secret in self._secrets(body):
            found.update(_spellings(secret))
        for secret in sorted(found, key=len, reverse=True):
            if len(secret) < _MIN_PLAIN_CHARACTERS:
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _MASK, text)
            else:
                text = text.replace(secret, _MASK)
        return text

    def _step(self, key: keys.ObjectKey, path: paths.Path) -> paths.Step:
        """Give the last step of a path as it may be shown."""
        match path[-1]:
            case paths.Value(value):
                return paths.Value(self.value(key, path, value))
            case paths.Key(items) if any(looks_secret(name, self.patterns) for name, _ in items):
                beside = path[:-1]
                return paths.Key(
                    tuple(
                        (name, self.value(key, (*beside, paths.Field(name)), value))
                        for name, value in items
                    )
                )
            case step:
                return step

    def _struct(
        self, key: keys.ObjectKey, path: paths.Path, value: dict[str, Any]
    ) -> dict[str, Any]:
        name = value.get("name")
        pair = isinstance(name, str) and looks_secret(name, self.patterns)
        shown: dict[str, Any] = {}
        for field, inner in value.items():
            here = (*path, paths.Field(field))
            if pair and field == "value" and isinstance(inner, str):
                shown[field] = self._hash(key, here, inner)
            else:
                shown[field] = self.value(key, here, inner)
        return shown

    def _list(self, key: keys.ObjectKey, path: paths.Path, value: list[Any]) -> list[Any]:
        shown: list[Any] = []
        after_secret_flag = False
        for index, item in enumerate(value):
            here = (*path, _item_step(index, item))
            if after_secret_flag and isinstance(item, str):  # ["--password", "x"]
                shown.append(self._hash(key, here, item))
            else:
                shown.append(self.value(key, here, item))
            after_secret_flag = (
                isinstance(item, str)
                and _FLAG.match(item) is not None
                and looks_secret(item, self.patterns)
            )
        return shown

    def _hash(self, key: keys.ObjectKey, path: paths.Path, value: Any) -> str:
        try:
            plain = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # deeper than any source can say: only its place counts
            plain = b""
        message = b"\0".join((str(key).encode(), paths.readable(path).encode(), plain))
        digest = hmac.new(self.key, message, hashlib.sha256).hexdigest()
        return HASH_PREFIX + digest[:_HASH_HEX_DIGITS]

    def _secrets(self, body: objects.RawObject) -> Iterator[str]:
        """Give every value that masking would hide, as the text that it is."""
        kind = str(body.get("kind", ""))
        group = str(body.get("apiVersion", "")).rpartition("/")[0]
        key = keys.ObjectKey(group, kind, "", "")
        yield from self._hidden(body, self.value(key, (), body))

    def _hidden(self, value: Any, shown: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for field, inner in value.items():
                yield from self._hidden(inner, shown[field] if isinstance(shown, dict) else shown)
        elif isinstance(value, list):
            beside = shown if isinstance(shown, list) else [shown] * len(value)
            for inner, inner_shown in zip(value, beside, strict=True):
                yield from self._hidden(inner, inner_shown)
        elif value not in (shown, ""):
            yield value if isinstance(value, str) else orjson.dumps(value).decode()


def _item_step(index: int, item: Any) -> paths.Step:
    """Name a list item as the API server would: by its name where it has one."""
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return paths.Key((("name", item["name"]),))
    return paths.Index(index)


def _spellings(secret: str) -> Iterator[str]:
    """Give the forms in which an error text may hold a value."""
    plain = [secret, *secret.splitlines()]
    try:
        decoded = base64.b64decode(secret, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass  # it is no base64, so there is nothing inside it
    else:
        plain += [decoded, *decoded.splitlines()]
    plain.append("".join(secret.split()))  # base64 with line breaks, joined
    for text in plain:
        if text.strip():
            yield text
            yield json.dumps(text)[1:-1]
            yield json.dumps(text, ensure_ascii=False)[1:-1]
            yield base64.b64encode(text.encode()).decode()
