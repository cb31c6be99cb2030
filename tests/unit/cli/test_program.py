"""The program: help, errors, exit statuses, and how quickly it starts."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click import testing

from guard import errors
from guard.cli import main, running, version

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_help_that_begins_with_its_summary(name: str) -> None:
    """`--help` works for every command and begins with the summary that the list shows."""
    result = testing.CliRunner().invoke(main.root, [name, "--help"])

    assert result.exit_code == 0
    assert result.output.splitlines()[2].strip() == main.COMMANDS[name][1]
    assert "Exit status: " in result.output


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_documentation_has_a_section_for_every_command(name: str) -> None:
    """docs/cli.md has a section for each command, with an example of it."""
    _, _, rest = DOCS.read_text().partition(f"\n## holdfast {name}\n")
    section, _, _ = rest.partition("\n## ")

    assert f"    $ holdfast {name}" in section


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_documentation_names_every_option(name: str) -> None:
    """docs/cli.md names every option of every command."""
    command = main.root.get_command(click.Context(main.root), name)
    assert command is not None
    text = DOCS.read_text()

    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("--"):
                assert f"`{option}" in text, option


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of the program lists every command with its summary."""
    assert main.main(["--help"], "holdfast") == 0

    told = capsys.readouterr().out
    assert all(
        f"  {name} " in told and summary in told for name, (_, summary) in main.COMMANDS.items()
    )


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        ("holdfast", "Usage: holdfast [OPTIONS]"),
        ("kubectl-holdfast", "Usage: kubectl holdfast [OPTIONS]"),
        ("main.py", "Usage: holdfast [OPTIONS]"),
    ],
)
def test_the_program_is_called_as_it_was_called(
    program: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a kubectl plugin the program calls itself `kubectl holdfast`."""
    main.main(["--help"], program)

    assert capsys.readouterr().out.startswith(shown)


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["status", "-n", "shop", "-A"],
        ["explain"],
        ["explain", "web", "--kubeconfig", "/nonexistent"],
        ["audit", "--since", "yesterday"],
        ["audit", "--verdict", "Forgiven"],
        ["status", "--kubeconfig", "/nonexistent"],
        ["diff", "--kubeconfig", "/nonexistent"],
        ["audit", "--state", "/nonexistent"],
    ],
)
def test_every_error_is_exit_status_2_and_on_standard_error(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage and what cannot be read are exit status 2, without output and traceback."""
    assert main.main(args, "holdfast") == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert "Error: " in told.err
    assert "Traceback" not in told.err


def _fail(error: BaseException) -> None:
    raise error


class Refusal(errors.HoldfastError):
    """An error of ours for these tests."""


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Refusal("the moon is\x1b[2J full"), 2, "Error: the moon is\\x1b[2J full\n"),
        (
            ExceptionGroup("", [Refusal("one"), ExceptionGroup("", [Refusal("two")])]),
            2,
            "Error: one\nError: two\n",
        ),
        (
            KeyError("swordfish"),
            2,
            (
                "Error: a fault of holdfast itself (KeyError)."
                " Run it again with --debug to see where.\n"
            ),
        ),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_errors_are_sentences(
    error: BaseException,
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of ours is its sentence, a fault is named without its text, Ctrl-C says nothing."""
    monkeypatch.setattr(version, "own", lambda: _fail(error))

    assert main.main(["version", "--client"], "holdfast") == status
    assert capsys.readouterr().err == told


def test_debug_shows_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --debug an error comes with its traceback."""
    monkeypatch.setattr(version, "own", lambda: _fail(Refusal("no")))

    assert main.main(["version", "--client", "--debug"], "holdfast") == 2

    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert told.endswith("Error: no\n")


def test_a_reader_who_leaves_ends_the_program_quietly() -> None:
    """Output into a closed pipe ends without a traceback, with the status of SIGPIPE."""
    code = (
        "import os, sys; from guard.cli import output; r, w = os.pipe(); os.close(r);"
        "os.dup2(w, 1); output.emit('x' * 100000)"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )

    assert (result.returncode, result.stderr) == (141, "")


def test_the_start_imports_nothing_heavy() -> None:
    """A kubectl plugin starts often: what is slow to import is imported by who needs it."""
    heavy = ("kubernetes_asyncio", "sqlalchemy", "rich", "aiohttp", "pydantic", "yaml", "structlog")
    code = (
        "import sys; from guard.cli import main; main.main(['version', '--client'], 'holdfast');"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )

    assert result.stdout.splitlines()[-1] == "[]"


def test_a_command_that_only_reads_logs_to_standard_error(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """What libraries warn of while a command runs is not part of its output."""
    import structlog

    async def work() -> int:
        structlog.get_logger("test").warning("the store is damaged")
        return 7

    assert running.run(work()) == 7

    told = capsysbinary.readouterr()
    assert told.out == b""
    assert b"the store is damaged" in told.err
