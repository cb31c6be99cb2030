"""Where kubectl takes one of two readings in silence, the file is refused with its line."""

import pytest

from guard.render import errors, yaml

MARKER = "hunter2"

CASES = {
    "key twice": (f"a: {MARKER}\nb: 1\na: {MARKER}\n", 3, "stands twice"),
    "key twice after conversion": (f'1: {MARKER}\n"1": {MARKER}\n', 2, "stands twice"),
    "key twice deep inside": (f"a:\n- b: {{{MARKER}: 1, {MARKER}: 2}}\n", 2, "stands twice"),
    "merge over an own key": ("x: &x {a: 1}\ny:\n  a: 2\n  <<: *x\n", 4, "put << first"),
    "merge of text": (f"<<: {MARKER}\n", 1, "wants a mapping"),
    "merge of a list of text": (f"<<: [{MARKER}]\n", 1, "wants a mapping"),
    "infinite": ("a:\n  b: .inf\n", 2, "infinite"),
    "not a number": ("a: [1, .NaN]\n", 1, "infinite"),
    "tagged infinite": ("a: !!float .inf\n", 1, "infinite"),
    "unknown tag": (f"a: !{MARKER} 1\n", 1, "tag"),
    "unknown tag of a mapping": ("a: !!set {b}\n", 1, "tag"),
    "unknown tag of a list": ("a: !!omap [b: 1]\n", 1, "tag"),
    "binary": ("a: !!binary aHVudGVyMg==\n", 1, "tag"),
    "tag and value differ": (f"a: !!int {MARKER}\n", 1, "reads as str"),
    "tagged float as int": ("a: !!int 1e3\n", 1, "reads as float"),
    "null key": ("~: 1\n", 1, "null"),
    "empty key": ("a: {? : 1}\n", 1, "null"),
    "list as key": ("? [a]\n: 1\n", 1, "key"),
    "mapping as key": ("? {a: 1}\n: 1\n", 1, "key"),
    "alias as key": ("a: &x b\n*x : 1\n", 2, "key"),
    "tagged key": ("!!int 1: a\n", 1, "quotes"),
    "alias without anchor": (f"a: *{MARKER}\n", 1, "anchor"),
    "alias within its own anchor": ("a: &x [*x]\n", 1, "anchor"),
    "anchor of another document": ("a: &x 1\n---\nb: *x\n", 3, "anchor"),
    "too deep": ("[" * 300 + "]" * 300, 1, "nested"),
    "far too deep": ("[" * 100_000, 1, "nest"),
    "tab as indentation": (f"a:\n\tb: {MARKER}\n", 2, "YAML syntax"),
    "unclosed quote": (f'a: "{MARKER}\n', 2, "YAML syntax"),
    "unclosed flow": (f"a: [{MARKER}\n", 2, "YAML syntax"),
    "end mark without a start after it": (f"a: 1\n...\nb: {MARKER}\n", 3, "YAML syntax"),
    "control character": (f"a: 1\nb: {MARKER}\x01\n", 2, "control character"),
    "YAML of the future": ("%YAML 3.0\n---\na: 1\n", 1, "YAML syntax"),
    "undefined tag handle": (f"a: !x!{MARKER} 1\n", 1, "YAML syntax"),
    "half a surrogate pair": ('a: "\\ud800"\n', 1, "YAML syntax"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_text_with_two_readings_or_none_is_refused_by_line(case: str) -> None:
    """The fault names file, line and cause."""
    text, line, word = CASES[case]

    stream = yaml.parse(text.encode(), file="apps/a.yaml")

    assert [f"apps/a.yaml:{line}"] == [one.place for one in stream.faults]
    assert word in str(stream.faults[0])
    assert isinstance(stream.faults[0], errors.UnreadableFile)


@pytest.mark.parametrize("case", CASES)
def test_no_fault_repeats_what_stands_in_the_file(case: str) -> None:
    """The line may be one of a Secret (argo-cd: CVE-2025-23216 was such a text)."""
    stream = yaml.parse(CASES[case][0].encode(), file="a.yaml")

    fault = stream.faults[0]
    assert MARKER not in f"{fault} {fault!r} {fault.args} {fault.__cause__!r}"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a: 1\nb: \xff\n", 2),
        ("a: 1\n".encode("utf-16"), 1),
        ("a: ä\n".encode("latin-1"), 1),
        (b"a: \xed\xa0\x80\n", 1),
    ],
)
def test_other_encodings_than_utf_8_are_refused(data: bytes, line: int) -> None:
    """A guess, as kubectl would, is no reading: it would be a silent change."""
    stream = yaml.parse(data, file="a.yaml")

    assert [f"a.yaml:{line}: The file is not UTF-8 text."] == [str(one) for one in stream.faults]


def test_a_merge_before_the_own_keys_is_read() -> None:
    """Own keys win over merged ones, and of several mappings the first wins."""
    text = b"x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  c: 3\n"

    stream = yaml.parse(text, file="a.yaml")

    assert stream.documents[0].value["z"] == {"a": 1, "b": 1, "c": 3}


def test_a_quoted_merge_key_is_a_key() -> None:
    """Quotes end all guessing, also of <<."""
    stream = yaml.parse(b'"<<": {a: 1}\n', file="a.yaml")

    assert stream.documents[0].value == {"<<": {"a": 1}}
