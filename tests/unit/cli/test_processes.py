"""`holdfast guard` and `holdfast webhook`: options, signals, logs."""

import asyncio
import errno
import io
import json
import logging
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import structlog

from guard.cli import guard_process, logs, main, running, webhook_process


def started(
    monkeypatch: pytest.MonkeyPatch, module: types.ModuleType, args: list[str]
) -> list[Any]:
    """Run a process that ends at once, and give the options that it got."""
    seen: list[Any] = []

    async def run(options: Any, stop: asyncio.Event) -> None:
        assert not stop.is_set()
        seen.append(options)

    monkeypatch.setattr(module, "run", run)
    assert main.main(args, "holdfast") == 0
    return seen


def test_the_guard_process_has_the_defaults_of_an_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without options the process is that of the default installation, in a pod."""
    monkeypatch.delenv("HOLDFAST_STATE", raising=False)

    (options,) = started(monkeypatch, guard_process, ["guard"])

    assert options == guard_process.Options(
        kubeconfig=None,
        context=None,
        namespace="holdfast-system",
        release="holdfast",
        state=Path("/var/lib/holdfast"),
        allow_insecure_sources=False,
        webhook_hosts=(
            "holdfast-webhook.holdfast-system.svc",
            "holdfast-webhook.holdfast-system.svc.cluster.local",
        ),
    )


def test_the_guard_process_takes_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option arrives; hosts that are named replace those of the Service."""
    words = (
        "guard --kubeconfig k --context c -n ns --release r --state s --allow-insecure-sources"
        " --webhook-host 127.0.0.1 --webhook-host localhost --no-uvloop --log-format console"
    )

    (options,) = started(monkeypatch, guard_process, words.split())

    assert options == guard_process.Options(
        kubeconfig=Path("k"),
        context="c",
        namespace="ns",
        release="r",
        state=Path("s"),
        allow_insecure_sources=True,
        webhook_hosts=("127.0.0.1", "localhost"),
    )


def test_the_webhook_takes_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and ports arrive, and the state directory from the environment."""
    monkeypatch.setenv("HOLDFAST_STATE", "/state")

    (options,) = started(
        monkeypatch, webhook_process, ["webhook", "--host", "127.0.0.1", "--port", "9443"]
    )

    assert options == webhook_process.Options(
        kubeconfig=None,
        context=None,
        namespace="holdfast-system",
        release="holdfast",
        state=Path("/state"),
        host="127.0.0.1",
        port=9443,
        metrics_port=8080,
    )


PROGRAM = """
import asyncio, sys
from guard.cli import logs, running
async def work(stop):
    print("started", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    if sys.argv[1] == "slow":
        await asyncio.sleep(60)
logs.configure("json", "info")
sys.exit(running.serve(work, use_uvloop=sys.argv[2] == "uvloop"))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_process_in_good_order(loop: str, number: signal.Signals) -> None:
    """The first SIGTERM or SIGINT lets the work end by itself: exit status 0."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "quick", loop],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopping\n"
        assert process.wait(timeout=30) == 0
        (line,) = process.stderr.read().splitlines()
        assert json.loads(line)["event"] == "stopping"
        assert json.loads(line)["signal"] == number.name


def test_a_second_signal_ends_a_process_at_once() -> None:
    """A second signal does not wait for anything."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "slow", "asyncio"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.terminate()
        assert process.stdout.readline() == "stopping\n"
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM


def configured(form: str, level: str = "info") -> io.BytesIO:
    """Set logging up into memory."""
    stream = io.BytesIO()
    logs.configure(form, level, stream=stream)
    return stream


def test_log_lines_are_json_of_us_and_of_libraries() -> None:
    """Our lines and those of libraries are one JSON object each, with level, logger and time."""
    stream = configured("json")

    structlog.get_logger("guard.loop").info("restored", object="ConfigMap shop/conf")
    logging.getLogger("library").warning("odd: %s", 7)
    structlog.get_logger("guard.loop").debug("not seen")

    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert ours["event"] == "restored"
    assert ours["object"] == "ConfigMap shop/conf"
    assert (ours["logger"], ours["level"]) == ("guard.loop", "info")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("odd: 7", "library", "warning")


@pytest.mark.parametrize("form", logs.FORMATS)
def test_tracebacks_show_no_local_variable(form: str) -> None:
    """A traceback in the log tells where, and never what stood in a variable."""
    stream = configured(form)
    password = "sword" + "fish"

    try:
        int(f"{len(password)}x")
    except ValueError:
        structlog.get_logger("test").exception("it broke")
        logging.getLogger("library").exception("it broke too")

    text = stream.getvalue().decode()
    assert text.count("ValueError") == 2
    assert "swordfish" not in text


def test_a_line_that_json_cannot_hold_is_still_written() -> None:
    """A lone surrogate, a huge integer or an object in a log line does not end the process."""
    stream = configured("json")

    structlog.get_logger("test").info("odd", text="\ud800", number=1 << 70, path=Path("x"))

    assert json.loads(stream.getvalue())["number"] == 1 << 70


async def _refuse(_: asyncio.Event) -> None:
    together = "errors of several tasks"
    raise ExceptionGroup(together, [running.errors.HoldfastError("the store is locked")])


async def _break(_: asyncio.Event) -> None:
    missing = "x"
    raise KeyError(missing)


def test_an_error_of_ours_ends_a_process_with_a_sentence_in_the_log() -> None:
    """What we raise on purpose is a log line without a traceback, and exit status 2."""
    stream = configured("json")

    assert running.serve(_refuse, use_uvloop=False) == 2

    line = json.loads(stream.getvalue())
    assert line["error"] == "the store is locked"
    assert "exception" not in line


def test_a_fault_ends_a_process_with_a_traceback_in_the_log() -> None:
    """A fault of our own is logged with its traceback, and exit status 2."""
    stream = configured("json")

    assert running.serve(_break, use_uvloop=False) == 2

    assert "KeyError" in json.loads(stream.getvalue())["exception"]


class Full(io.BytesIO):
    """A log on a disk without room."""

    def write(self, _: Any) -> int:
        """Fail as the kernel does."""
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        """Fail as a broken pipe does."""
        raise BrokenPipeError


@pytest.mark.parametrize("form", logs.FORMATS)
def test_a_log_that_cannot_be_written_is_no_reason_to_fail(form: str) -> None:
    """An answer must not depend on whether it can be logged."""
    logs.configure(form, "info", stream=Full())
    try:
        structlog.get_logger("a").info("lost")
        logging.getLogger("b").warning("lost too")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
