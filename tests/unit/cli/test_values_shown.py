"""Values as a person reads them."""

from typing import Any

import pytest

from guard.api import keys
from guard.cli import shown
from guard.fields import paths, values

POD = keys.ObjectKey("", "Pod", "shop", "web")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        ("3", '"3"'),
        ("info", "info"),
        ("true", '"true"'),
        ("registry.example/web:1.2", "registry.example/web:1.2"),
        ("", '""'),
        ("a b", '"a b"'),
        (True, "true"),
        (None, "null"),
        (values.MISSING, "(none)"),
        ({"a": 1}, '{"a": 1}'),
        ("a\nb\nc\n", "(3 lines)"),
        ("a\x1b[2J", '"a\\u001b[2J"'),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_one_value_is_one_short_line(value: Any, expected: str) -> None:
    """A value stands on one line, and a string that looks like another value in quotes."""
    assert expected == shown.value(value)


def test_of_long_texts_only_the_difference_is_shown() -> None:
    """Two long texts are compared line by line, with a line around each difference."""
    before = "".join(f"{number}\n" for number in range(100))

    lines = list(shown.difference(before, before.replace("50\n", "fifty\n")))

    assert lines == ["  ...", "  49", "- 50", "+ fifty", "  51"]


def test_a_large_struct_is_shown_as_yaml() -> None:
    """What does not fit on a line is shown as YAML, each line with its sign."""
    container = {"name": "app", "image": "registry.example/team/application:1.2.3", "tty": True}

    assert list(shown.difference(container, values.MISSING)) == [
        "- image: 'registry.example/team/application:1.2.3'",
        "- name: app",
        "- tty: true",
    ]


def test_endless_differences_are_cut() -> None:
    """A difference of very many lines ends with their number."""
    lines = list(shown.difference({str(n): "x" * 60 for n in range(200)}, values.MISSING))

    assert len(lines) == 61
    assert lines[-1] == "  (and 140 more lines)"


@pytest.mark.parametrize(
    ("key", "path", "value", "expected"),
    [
        (POD, ["spec", "nodeName"], "n1", "n1"),
        (POD, ["spec", "password"], "swordfish", "(secret)"),
        (keys.ObjectKey("", "Secret", "shop", "db"), ["data", "x"], "c3dv", "(secret)"),
        (
            POD,
            ["spec"],
            {"a": [{"token": "t0k3n"}], "b": 1},
            {"a": [{"token": "(secret)"}], "b": 1},
        ),
        (POD, ["spec", "url"], "https://bot:pw@git.example/", "(secret)"),
        (POD, ["spec"], values.MISSING, values.MISSING),
    ],
)
def test_secrets_are_veiled_wherever_they_are(
    key: keys.ObjectKey, path: list[str], value: Any, expected: Any
) -> None:
    """A secret is veiled at its path and inside of a larger value; the rest stays readable."""
    assert expected == shown.veiled(key, tuple(paths.Field(name) for name in path), value)


def test_an_item_of_a_set_of_secrets_is_not_named() -> None:
    """Neither by a path of the live object nor by one of a report, and both look the same."""
    widget = keys.ObjectKey("example.org", "Widget", "shop", "w")
    path = (paths.Field("spec"), paths.Field("apiTokens"), paths.Value("hunter2"))
    reported = paths.readable((*path[:2], paths.Value("hash:0123456789ab")))

    assert shown.readable(widget, path) == 'spec.apiTokens[="(secret)"]'
    assert shown.unhashed(reported) == shown.readable(widget, path)
    assert shown.readable(widget, path[:2]) == "spec.apiTokens"
