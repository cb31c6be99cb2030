"""What reaches the terminal: tables, ages, and nothing that a terminal would act on."""

import io
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from guard.cli import output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop/web", "shop/web"),
        ("größe", "größe"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\x7f", "\\x7f"),
        ("\ud800", "\\ud800"),
    ],
)
def test_whatever_a_terminal_acts_on_is_escaped(text: str, expected: str) -> None:
    """Control characters, escape sequences and bidi overrides are shown, not obeyed."""
    assert expected == output.clean(text)


@given(st.text())
def test_cleaned_text_is_printable_and_stays_so(text: str) -> None:
    """Cleaned text holds nothing unprintable, and cleaning it once more changes nothing."""
    cleaned = output.clean(text)

    assert cleaned.isprintable()
    assert cleaned == output.clean(cleaned)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0s"),
        (0, "0s"),
        (45.9, "45s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (3599, "59m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 600, "5h10m"),
        (47 * 3600, "47h"),
        (2 * 86400 + 3600, "2d1h"),
        (12 * 86400, "12d"),
        (2 * 365 * 86400 + 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages_are_those_of_kubectl(seconds: float, expected: str) -> None:
    """An age reads as kubectl writes it."""
    assert expected == output.age(seconds)


def test_columns_are_aligned_without_trailing_blanks() -> None:
    """Columns start below each other, numbers end so, and no line ends in blanks."""
    text = output.table(
        ("NAME", "COUNT", "NOTE"), [("a", "7", ""), ("long-name", "1234567", "x")], right={"COUNT"}
    )

    assert text == "NAME         COUNT  NOTE\na                7\nlong-name  1234567  x\n"


def test_wide_characters_take_two_columns() -> None:
    """Characters of double width push nothing out of line."""
    text = output.table(("A", "B"), [("東京", "x"), ("abcd", "y")])

    assert text.splitlines()[1:] == ["東京  x", "abcd  y"]


def test_a_cell_cannot_break_its_row() -> None:
    """A line break in a cell is shown as an escape."""
    assert "a\\nb" in output.table(("A",), [("a\nb",)])


def test_colours_do_not_shift_columns() -> None:
    """A coloured cell is as wide as a plain one."""
    text = output.table(("A", "B"), [("x", "y")], colours={"A": lambda _: "red"})

    assert text == "A  B\n\x1b[31mx\x1b[0m  y\n"


@given(st.text())
def test_json_holds_any_text_and_shows_no_control_character(text: str) -> None:
    """JSON says exactly what the text is, and a terminal obeys nothing of it."""
    written = output.as_json([text])

    assert [text] == json.loads(written)
    assert written.replace("\n", "").isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_yaml_holds_any_text_and_shows_no_control_character(text: str) -> None:
    """YAML says exactly what the text is, and a terminal obeys nothing of it."""
    written = output.as_yaml([text])

    assert [text] == yaml.safe_load(written)
    assert written.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["0o777", "1e3", "08", "y", "on", "22:22", "null", "1.0"])
def test_yaml_quotes_strings_that_kubernetes_reads_as_something_else(text: str) -> None:
    """A string that Kubernetes would read as a number or boolean is written in quotes."""
    assert f"- '{text}'" in output.as_yaml([text])


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour needs a terminal, and NO_COLOR and dumb terminals switch it off."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.in_colour(Terminal())
    assert not output.in_colour(io.StringIO())

    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.in_colour(Terminal())

    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.in_colour(Terminal())
