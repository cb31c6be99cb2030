"""Secret values never leave the masker: wherever they stand, and in whatever form (BR-13)."""

import base64
import json
import time
from typing import Any

import pytest

from guard.api import keys
from guard.api.verdicts import ChangeKind
from guard.fields import changes, paths, values
from guard.policy import secrecy

MARKER = "hunter2-MARKER-value"
MASKER = secrecy.Masker(b"k" * 32)
SECRET = keys.ObjectKey("", "Secret", "shop", "db")
WEB = keys.ObjectKey("apps", "Deployment", "shop", "web")
CONF = keys.ObjectKey("", "ConfigMap", "shop", "conf")
WIDGET = keys.ObjectKey("example.org", "Widget", "shop", "w")


def path(*steps: str | dict[str, Any] | int) -> paths.Path:
    """Write a path in short: names, key dicts and positions."""
    return tuple(
        paths.Field(step)
        if isinstance(step, str)
        else paths.Index(step)
        if isinstance(step, int)
        else paths.Key(tuple(sorted(step.items())))
        for step in steps
    )


ENV = path(
    "spec", "template", "spec", "containers", {"name": "app"}, "env", {"name": "DB_PASSWORD"}
)

HIDDEN = {
    "data of a Secret": (SECRET, path("data", "x"), MARKER),
    "all data of a Secret": (SECRET, path("data"), {"x": MARKER}),
    "stringData of a Secret": (SECRET, path("stringData", "x"), MARKER),
    "an annotation of a Secret": (SECRET, path("metadata", "annotations", "note"), MARKER),
    "all annotations of a Secret": (SECRET, path("metadata", "annotations"), {"note": MARKER}),
    "a whole Secret": (SECRET, (), {"data": {"x": MARKER}}),
    "last-applied of any kind": (
        CONF,
        path("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"),
        MARKER,
    ),
    "a data key that looks secret": (CONF, path("data", "db.password"), MARKER),
    "an API key": (CONF, path("data", "API_KEY"), MARKER),
    "a custom field": (WIDGET, path("spec", "adminPassword"), MARKER),
    "below a custom field": (WIDGET, path("spec", "credentials", "user"), MARKER),
    "below a custom field, as a struct": (WIDGET, path("spec", "credentials"), {"a": [MARKER]}),
    "an environment variable": (WEB, (*ENV, *path("value")), MARKER),
    "an item of env": (WEB, ENV, {"name": "DB_PASSWORD", "value": MARKER}),
    "a list of env": (WEB, ENV[:-1], [{"name": "DB_PASSWORD", "value": MARKER}]),
    "an argument": (WEB, path("spec", "args"), [f"--db-password={MARKER}"]),
    "an argument after its flag": (WEB, path("spec", "args"), ["--token", MARKER]),
    "a password in a URL": (CONF, path("data", "url"), f"postgres://app:{MARKER}@db/shop"),
    "a line of a file": (CONF, path("data", "app.ini"), f"a=1\npassword = {MARKER}\n"),
    "a line of YAML": (CONF, path("data", "app.yaml"), f"a: 1\ntoken: {MARKER}\n"),
    "a value in JSON": (CONF, path("data", "app.json"), json.dumps({"apiKey": MARKER})),
    "a token alone in a URL": (CONF, path("data", "url"), f"https://{MARKER}@git.example/shop"),
    "a private key": (
        CONF,
        path("data", "tls"),
        f"-----BEGIN EC PRIVATE KEY-----\n{MARKER}\n-----END EC PRIVATE KEY-----",
    ),
}


@pytest.mark.parametrize(("key", "where", "value"), HIDDEN.values(), ids=HIDDEN)
def test_a_secret_value_is_never_given(
    key: keys.ObjectKey, where: paths.Path, value: object
) -> None:
    """Whatever the masker gives instead, the value is not in it."""
    shown = json.dumps(MASKER.value(key, where, value))

    assert MARKER not in shown
    assert base64.b64encode(MARKER.encode()).decode() not in shown
    assert secrecy.HASH_PREFIX in shown


SHOWN = {
    "replicas": (WEB, path("spec", "replicas"), 3),
    "an image": (WEB, path("spec", "image"), "registry:5000/vault-token:1.2"),
    "a ConfigMap's value": (CONF, path("data", "level"), "info"),
    "the name of a Secret": (WEB, path("spec", "volumes", "secret", "secretName"), "db"),
    "a reference": (WEB, path("spec", "valueFrom", "secretKeyRef", "key"), "password"),
    "a switch": (WEB, path("spec", "automountServiceAccountToken"), False),
    "a Secret's label": (SECRET, path("metadata", "labels", "app"), "db"),
    "a Secret's type": (SECRET, path("type"), "Opaque"),
    "our mark on a Secret": (SECRET, path("metadata", "annotations", "holdfast.dev/origin"), "{}"),
    "null": (SECRET, path("data", "x"), None),
    "what is not there": (SECRET, path("data", "x"), values.MISSING),
    "an ordinary variable": (WEB, path("env", {"name": "LEVEL"}, "value"), "info"),
    "a user in a URL": (CONF, path("data", "url"), "ssh://git@git.example/shop.git"),
    "an ordinary URL": (CONF, path("data", "url"), "https://git.example/shop.git"),
}


@pytest.mark.parametrize(("key", "where", "value"), SHOWN.values(), ids=SHOWN)
def test_what_is_no_secret_is_shown(key: keys.ObjectKey, where: paths.Path, value: object) -> None:
    """A masker that hides everything tells nothing."""
    assert MASKER.value(key, where, value) == value


def test_the_same_value_gives_the_same_hash() -> None:
    """A hash in a report can be compared with one of a live value."""
    again = secrecy.Masker(b"k" * 32)
    where = path("data", "x")

    assert MASKER.value(SECRET, where, "a") == again.value(SECRET, where, "a")


def test_a_hash_says_nothing_across_objects_paths_and_keys() -> None:
    """Equal values in two places, or of two installations, cannot be told to be equal."""
    other = keys.ObjectKey("", "Secret", "shop", "other")
    hashes = {
        MASKER.value(SECRET, path("data", "x"), "a"),
        MASKER.value(SECRET, path("data", "y"), "a"),
        MASKER.value(other, path("data", "x"), "a"),
        secrecy.Masker(b"j" * 32).value(SECRET, path("data", "x"), "a"),
    }

    assert len(hashes) == 4


def test_a_leaf_hashes_alike_alone_and_within_its_item() -> None:
    """An item that is gone and a value that changed can be compared."""
    whole = MASKER.value(WEB, ENV, {"name": "DB_PASSWORD", "value": "a"})

    assert whole["value"] == MASKER.value(WEB, (*ENV, *path("value")), "a")


def test_changes_are_masked_on_both_sides() -> None:
    """Old and new are both secrets."""
    change = changes.Change(path("data", "x"), ChangeKind.CHANGED, MARKER, MARKER + "!")

    (masked,) = MASKER.changes(SECRET, (change,))

    assert MARKER not in repr(masked)
    assert masked.old != masked.new


def test_the_key_is_not_in_the_masker_s_repr() -> None:
    """A logged masker gives nothing away."""
    assert "kkkk" not in repr(MASKER)


def test_extra_patterns_hide_more() -> None:
    """An installation may add its own words."""
    strict = secrecy.Masker(b"k" * 32, (*secrecy.PATTERNS, "pin"))

    assert MASKER.value(CONF, path("data", "pin"), "1234") == "1234"
    assert strict.value(CONF, path("data", "pin"), "1234") != "1234"


ENCODED = base64.b64encode(MARKER.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        f'Secret in version "v1" cannot be handled: got {MARKER}',
        f"illegal base64: {ENCODED}",
        f"{ENCODED} twice {MARKER} and {MARKER}",
        f"quoted {json.dumps(MARKER + chr(10) + 'x')}",
    ],
)
def test_an_error_text_is_redacted(text: str) -> None:
    """The API server may echo what was sent, as it was sent or decoded."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "data": {"x": ENCODED},
        "stringData": {"y": MARKER + "\nx"},
    }

    redacted = MASKER.redact(text, body=body)

    assert MARKER not in redacted
    assert ENCODED not in redacted


def test_a_short_secret_is_cut_only_where_it_stands_alone() -> None:
    """Else a password of one letter would blank the whole text."""
    body = {"apiVersion": "v1", "kind": "Secret", "data": {}, "stringData": {"pin": "in"}}

    assert MASKER.redact("in an inn: in", body=body) == "… an inn: …"


def test_a_number_in_string_data_is_redacted() -> None:
    """The very case in which the API server quotes it back."""
    body = {"apiVersion": "v1", "kind": "Secret", "stringData": {"pin": 987654}}

    assert "987654" not in MASKER.redact("cannot unmarshal number 987654", body=body)


def test_a_text_without_secrets_stays_as_it_is() -> None:
    """Redaction changes nothing else."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"level": "info"}}

    assert MASKER.redact("level info is fine", body=body) == "level info is fine"


LONG = {
    "one long word": "a",
    "words that look secret": "token",
    "names that look secret": "token-",
    "blanks after one": "token ",
    "URLs": "a://",
    "keys that never begin": "-----BEGIN ",
    "base64": "QUJD",
}


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG)
def test_a_megabyte_of_anything_is_looked_through_at_once(unit: str) -> None:
    """Whoever stores a long value must not stop all reviews: the time is linear in its length."""
    text = unit * (1_000_000 // len(unit))
    before = time.process_time()

    MASKER.value(CONF, path("data", "x"), text)

    assert time.process_time() - before < 2.0


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_what_is_nested_too_deeply_is_one_hash(depth: int) -> None:
    """A custom resource may nest as deep as somebody likes: no error, and nothing is told."""
    deep: Any = MARKER
    for _ in range(depth):
        deep = {"a": [deep]} if depth < 400 else [deep]

    shown = json.dumps(MASKER.value(WIDGET, path("spec"), deep))

    assert MARKER not in shown
    assert secrecy.HASH_PREFIX in shown
    assert MARKER not in MASKER.redact(f"no: {MARKER}", body={"kind": "W", "password": [MARKER]})


def test_a_path_tells_no_item_of_a_set_of_secrets() -> None:
    """The path of an item of a set holds its value."""
    secret = (*path("spec", "apiTokens"), paths.Value(MARKER))
    keyed = path("spec", "users", {"password": MARKER, "user": "bob"}, "role")
    plain = (*path("metadata", "finalizers"), paths.Value("example.org/x"))

    assert MARKER not in paths.readable(MASKER.path(WIDGET, secret))
    assert MARKER not in paths.readable(MASKER.path(WIDGET, keyed))
    assert "bob" in paths.readable(MASKER.path(WIDGET, keyed))
    assert MASKER.path(WIDGET, plain) == plain
    change = changes.Change(secret, ChangeKind.REMOVED, MARKER, values.MISSING)
    assert MARKER not in str(MASKER.changes(WIDGET, (change,)))
