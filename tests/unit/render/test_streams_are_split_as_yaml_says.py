"""How many documents a file has, and on which line each begins.

A separator with a comment dropped a document in silence (kubernetes/kubernetes#103185), and dashes
inside text split one in two (kubernetes/kubectl#1645): with pruning, a dropped document is a
deleted object.
"""

import pytest

from guard.render import yaml

CASES = {
    "one": ("a: 1\n", [({"a": 1}, 1)]),
    "comment on the separator": ("a: 1\n--- # next\nb: 2\n", [({"a": 1}, 1), ({"b": 2}, 3)]),
    "comment without a space": ("a: 1\n---\n#b\nb: 2\n", [({"a": 1}, 1), ({"b": 2}, 4)]),
    "spaces after the separator": ("a: 1\n---  \t\nb: 2\n", [({"a": 1}, 1), ({"b": 2}, 3)]),
    "end marks": ("a: 1\n...\n---\nb: 2\n...\n", [({"a": 1}, 1), ({"b": 2}, 4)]),
    "comments only": ("# a\n---\n# b\n---\n# c\n", []),
    "several empty": ("---\n---\n---\na: 1\n---\n---\n", [({"a": 1}, 4)]),
    "nothing": ("", []),
    "blank lines first": ("\n\n\na: 1\n", [({"a": 1}, 4)]),
    "comment first": ("# licence\n\n---\na: 1\n", [({"a": 1}, 4)]),
    "content on the separator": ("--- {a: 1}\n---\nb: 2\n", [({"a": 1}, 1), ({"b": 2}, 3)]),
    "dashes in a block scalar": (
        "a: |\n  x\n  ---\n  y\n---\nb: 2\n",
        [({"a": "x\n---\ny\n"}, 1), ({"b": 2}, 6)],
    ),
    "dashes and comment in a block scalar": (
        "a: |-\n  --- # no\n  kind: x\n",
        [({"a": "--- # no\nkind: x"}, 1)],
    ),
    "dashes in a quoted text": ('a: "x\n  --- y"\n', [({"a": "x --- y"}, 1)]),
    "dashes in a flow": ("a: [---, x]\n", [({"a": ["---", "x"]}, 1)]),
    "windows line ends": ("a: 1\r\n---\r\nb: 2\r\n", [({"a": 1}, 1), ({"b": 2}, 3)]),
    "byte order mark": ("\ufeffa: 1\n", [({"a": 1}, 1)]),
    "directive": ("%YAML 1.1\n---\na: 1\n", [({"a": 1}, 3)]),
    "no line end": ("a: 1\n---\nb: 2", [({"a": 1}, 1), ({"b": 2}, 3)]),
    "a bare value": ("--- text\n", [("text", 1)]),
    "two JSON values": ('{"a": 1}\n{"b": 2}\n', [({"a": 1}, 1), ({"b": 2}, 2)]),
    "JSON with a separator": ('{"a": 1}\n---\n{"b": 2}\n', [({"a": 1}, 1), ({"b": 2}, 3)]),
    "flow mapping": ("{a: 1}\n", [({"a": 1}, 1)]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stream_has_exactly_these_documents(case: str) -> None:
    """Values and first lines are those of a real YAML parser, and nothing is a fault."""
    text, expected = CASES[case]

    stream = yaml.parse(text.encode(), file="a.yaml")

    assert stream.faults == ()
    assert expected == [(one.value, one.line) for one in stream.documents]


def test_dashes_at_the_margin_of_a_quoted_text_are_an_error_with_its_line() -> None:
    """YAML forbids them: the document is refused, never cut in two."""
    stream = yaml.parse(b"ok: 1\n---\na: 'x\n---\nb: 2'\n", file="apps/a.yaml")

    assert [one.value for one in stream.documents] == [{"ok": 1}]
    assert [one.place for one in stream.faults] == ["apps/a.yaml:4"]


def test_a_syntax_error_hides_what_follows_and_says_so() -> None:
    """What stood before it is read; the rest cannot be, since nothing says where it begins."""
    stream = yaml.parse(b"a: 1\n---\nb: c: d\n---\ne: 1\n", file="a.yaml")

    assert [one.value for one in stream.documents] == [{"a": 1}]
    problem = "mapping values are not allowed in this context"
    sentence = f"a.yaml:3: YAML syntax: {problem}; the rest of the file is not read."
    assert [sentence] == [str(one) for one in stream.faults]


def test_a_refused_document_does_not_hide_the_next() -> None:
    """A document that can be parsed but not be used is skipped alone."""
    stream = yaml.parse(b"a: 1\n---\nb: .inf\nc: [1, {d: 2}]\n---\ne: 1\n", file="a.yaml")

    assert [one.value for one in stream.documents] == [{"a": 1}, {"e": 1}]
    assert [one.place for one in stream.faults] == ["a.yaml:3"]
