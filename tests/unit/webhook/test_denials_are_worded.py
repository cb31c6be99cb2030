"""The text of a denial is the product: each shape of it is written down here, word by word."""

import re
import textwrap
from typing import Any

import pytest

from guard.api import keys
from guard.api.verdicts import ChangeKind
from guard.fields.values import MISSING
from guard.policy.decision import Finding
from webhook import message

WEB = keys.ObjectKey("apps", "Deployment", "shop", "web")
ORIGIN = message.Origin(
    guard="shop-prod",
    url="https://git.example/shop.git",
    revision="3f2c1d9",
    file="apps/web.yaml",
)


def finding(path: str, source: Any, new: Any, *, is_known: bool = True) -> Finding:
    """Make a finding whose old value is the source's."""
    kind = ChangeKind.REMOVED if new is MISSING else ChangeKind.CHANGED
    return Finding(path, kind, source, new, source, is_known)


def denial(*findings: Finding, key: keys.ObjectKey = WEB, origin: message.Origin = ORIGIN) -> str:
    """Word the denial of an edit."""
    return message.denial(key, origin, findings, operation="UPDATE")


def test_one_changed_field() -> None:
    """The design's own example."""
    expected = textwrap.dedent(
        """\
        shop/web is managed from Git

          spec.replicas   Git 3   yours 5

          Source      https://git.example/shop.git @ 3f2c1d9, apps/web.yaml (Guard shop-prod)
          To change   edit that file; it is applied within seconds of the push"""
    )

    assert denial(finding("spec.replicas", 3, 5)) == expected


def test_several_fields_stand_in_columns() -> None:
    """Paths, the source's values and the caller's stand below each other."""
    image = "spec.template.spec.containers[name=app].image"
    table = denial(
        finding("spec.replicas", 3, 5),
        finding(image, "nginx:1.27", "nginx:1.28"),
        finding("metadata.labels.tier", "front", MISSING),
        finding("metadata.labels.team", MISSING, "x"),
    ).split("\n")[2:6]

    assert table == [
        f"  {'spec.replicas':45}   Git 3            yours 5",
        f"  {image:45}   Git nginx:1.27   yours nginx:1.28",
        f"  {'metadata.labels.tier':45}   Git front        yours (absent)",
        f"  {'metadata.labels.team':45}   Git (absent)     yours x",
    ]


def test_a_delete() -> None:
    """A delete has no fields; what helps is to take the object out of the source first."""
    expected = textwrap.dedent(
        """\
        shop/web is managed from Git

          deleting it is refused

          Source      https://git.example/shop.git @ 3f2c1d9, apps/web.yaml (Guard shop-prod)
          To delete   remove it from that file; it can be deleted within seconds of the push"""
    )

    assert message.denial(WEB, ORIGIN, (), operation="DELETE") == expected


def test_a_cluster_scoped_object_is_named_with_its_kind() -> None:
    """A bare name would leave open what it is."""
    key = keys.ObjectKey("", "Namespace", "", "shop")

    assert denial(finding("metadata.labels.a", 1, 2), key=key).startswith(
        "Namespace shop is managed from Git\n"
    )


def test_a_slow_source_is_said_to_be_slow() -> None:
    """Nobody waits for seconds where the interval is ten minutes."""
    slow = message.Origin(guard="g", interval="10m", interval_seconds=600.0, file="a.yaml")

    assert "it is applied within 10m of the push" in denial(finding("a", 1, 2), origin=slow)


def test_an_unknown_source_is_left_out() -> None:
    """Before the first revision nothing but the Guard is known."""
    assert "  Source      Guard g\n" in denial(finding("a", 1, 2), origin=message.Origin(guard="g"))


def test_values_of_an_unknown_state_are_called_live() -> None:
    """Nobody claims for Git what Git may not say."""
    assert "a   live 1   yours 2" in denial(finding("a", 1, 2, is_known=False))


def test_at_most_25_fields_are_shown() -> None:
    """The rest is counted."""
    lines = denial(*(finding(f"data.k{n:02}", n, n + 1) for n in range(40))).split("\n")

    assert sum(" yours " in line for line in lines) == 25
    assert "  and 15 more" in lines


VALUES = {
    "a number": (5, "5"),
    "a boolean": (True, "true"),
    "null": (None, "null"),
    "a word": ("debug", "debug"),
    "several words": ("a b", "a b"),
    "a number in a string": ("5", '"5"'),
    "a boolean in a string": ("true", '"true"'),
    "an empty string": ("", '""'),
    "a string with spaces around": (" a ", '" a "'),
    "a struct": ({"a": [1]}, '{"a":[1]}'),
    "lines": ("a\nb\nc\n", "(3 lines, 6 bytes)"),
    "binary": ("QUJD" * 100, "(binary, 300 bytes)"),
    "control characters": ("a\x1b[31mb\tc", "a\\x1b[31mb\\tc"),
    "marks that turn a line around": ("a\u202eb", "a\\u202eb"),
    "a hash": ("hash:0123456789ab", "hash:0123456789ab"),
    "not there": (MISSING, "(absent)"),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_is_shown(value: object, expected: str) -> None:
    """Each kind of value is shown so that it cannot be taken for another."""
    assert message.value(value) == expected


def test_a_long_value_is_cut_in_the_middle() -> None:
    """Registry and tag are what people know an image by."""
    shown = message.value("registry.example/" + "x" * 100 + ":1.27")

    assert len(shown) == 60
    assert shown.startswith("registry.example/xxx")
    assert shown.endswith("xx:1.27")
    assert "…" in shown


def test_a_difference_in_the_middle_is_not_cut_out() -> None:
    """Two long values that differ are never shown alike."""
    before, after = (f"{'a' * 80}{middle}{'z' * 80}" for middle in ("1", "2"))

    (line,) = [line for line in denial(finding("a", before, after)).split("\n") if "yours" in line]
    _, git, yours = re.split(r"   (?:Git|yours) ", line)

    assert git != yours
    assert "1" in git
    assert "2" in yours


def test_texts_of_equal_size_tell_where_they_differ() -> None:
    """Sizes alone would say that nothing changed."""
    text = denial(finding("data.conf", "a\nb\nc\n", "a\nb\nx\n"))

    assert "Git (3 lines, 6 bytes)   yours (3 lines, 6 bytes), different from line 3 on" in text


def test_no_control_character_reaches_a_terminal() -> None:
    """Paths, names and files are typed by others too."""
    key = keys.ObjectKey("", "ConfigMap", "shop", "a\x1b[2Jb")
    origin = message.Origin(guard="g", url="https://x/\x07", revision="\x1b", file="a\rb")
    text = denial(finding("data.a\x1b[31m", "\x1b", "\u2028"), key=key, origin=origin)

    assert all(character.isprintable() or character == "\n" for character in text)


def test_an_injected_line_break_makes_no_line() -> None:
    """A file name cannot forge the "To change" line."""
    origin = message.Origin(guard="g", file="a.yaml\n  To change   ask mallory")

    assert denial(finding("a", 1, 2), origin=origin).count("\n  To change") == 1


def warnings(*findings: Finding, origin: message.Origin = ORIGIN) -> tuple[str, ...]:
    """Word the warnings about an edit."""
    return message.warnings(WEB, origin, findings, operation="UPDATE")


def test_warnings_say_what_changed_and_what_comes_next() -> None:
    """One line for the act, one for each field."""
    assert warnings(finding("spec.replicas", 3, 5)) == (
        "shop/web is managed from Git (apps/web.yaml, Guard shop-prod): this change will be undone",
        "spec.replicas: Git 3, yours 5",
    )


def test_a_warning_about_a_delete() -> None:
    """It has no fields."""
    origin = message.Origin(guard="g", restores=False)

    assert message.warnings(WEB, origin, (), operation="DELETE") == (
        "shop/web is managed from Git (Guard g): deleting it is only recorded",
    )


def test_warnings_fit_into_what_the_api_server_shows() -> None:
    """Single lines of at most 256 characters, below 4,096 in all, however much changed."""
    found = warnings(*(finding(f"data.{'k' * 200}{n}", "v" * 300, "w" * 300) for n in range(200)))

    assert all(len(line) <= 256 and line.isprintable() and line for line in found)
    assert sum(map(len, found)) < 4096
    assert re.fullmatch(r"and \d+ more fields", found[-1])


def test_warnings_about_many_small_fields_are_counted() -> None:
    """25, then the number of the others."""
    found = warnings(*(finding(f"data.k{n}", n, n + 1) for n in range(30)))

    assert found[-1] == "and 5 more fields"
    assert len(found) == 1 + 25 + 1
