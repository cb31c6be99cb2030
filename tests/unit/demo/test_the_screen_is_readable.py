"""What the demo prints can be read in a terminal and in a file."""

import io

import pytest
import showing


class Terminal(io.StringIO):
    """Remembers when it was flushed last: nothing may wait in a buffer."""

    shown = ""

    def flush(self) -> None:
        """Take what was written for seen."""
        self.shown = self.getvalue()


def test_a_command_stands_behind_a_prompt_and_its_answer_is_untouched():
    """Expect the line as it is typed, then the answer with no byte changed."""
    screen = showing.Screen(stream := Terminal())

    screen.command("kubectl get pods")
    screen.answer("NAME   READY\nweb    1/1\n")

    assert stream.shown == "\n$ kubectl get pods\nNAME   READY\nweb    1/1\n"


@pytest.mark.parametrize(("text", "shown"), [("info", "info\n"), ("info\n", "info\n"), ("", "")])
def test_an_answer_ends_its_line(text, shown):
    """Expect the next prompt never behind an answer: jsonpath prints no line end."""
    screen = showing.Screen(stream := Terminal())

    screen.answer(text)

    assert stream.shown == shown


def test_headings_are_numbered():
    """Expect one number more with each heading."""
    screen = showing.Screen(stream := Terminal())

    screen.heading("First")
    screen.heading("Second")

    assert "== 1. First ==" in stream.shown
    assert "== 2. Second ==" in stream.shown


def test_there_is_colour_on_a_terminal_alone():
    """Expect no escape sequence unless it was asked for."""
    plain, coloured = Terminal(), Terminal()

    for stream, in_colour in ((plain, False), (coloured, True)):
        screen = showing.Screen(stream, in_colour=in_colour)
        screen.heading("First")
        screen.command("ls")

    assert "\x1b" not in plain.shown
    assert coloured.shown.count("\x1b[0m") == 2


def test_a_paragraph_is_wrapped_whatever_its_line_breaks():
    """Expect one paragraph from a text that the source code breaks and indents."""
    screen = showing.Screen(stream := Terminal())

    screen.say("""One
        two.""")

    assert stream.shown == "\nOne two.\n"


def test_a_step_says_what_it_does_before_and_how_long_it_took():
    """Expect the label at once, and the seconds when it is done."""
    times = iter([10.0, 12.54])
    screen = showing.Screen(stream := Terminal(), monotonic=lambda: next(times))

    with screen.step("Starting"):
        assert stream.shown == "Starting ..."

    assert stream.shown == "Starting ... 2.5 s\n"


def test_a_step_that_fails_ends_its_line():
    """Expect the error's text to begin at the left."""
    screen = showing.Screen(stream := Terminal())

    with pytest.raises(ValueError, match="invalid literal"), screen.step("Starting"):
        int("no")

    assert stream.shown == "Starting ...\n"
