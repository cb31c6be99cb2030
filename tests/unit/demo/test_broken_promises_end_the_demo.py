"""A demo that shows something else than it promises ends with status 1 and says why."""

import contextlib
import io
import os

import demo
import pytest
import showing
import staging


@pytest.fixture
def stage(tmp_path):
    """Give a stage with a shell, and nothing behind it."""
    (tmp_path / "shop").mkdir()
    return staging.Stage(
        showing.Screen(io.StringIO()),
        tmp_path,
        plane=None,
        holdfast=None,
        url="",
        environment={"PATH": os.environ["PATH"]},
        hidden=("hunter2",),
    )


@pytest.fixture
def played(monkeypatch, tmp_path, stage):
    """Let the demo play one act on the empty stage."""

    @contextlib.contextmanager
    def empty(_screen, _folder):
        yield stage

    def play(act):
        monkeypatch.setattr(demo, "ACTS", [act])
        return demo.main()

    monkeypatch.setattr(staging, "stage", empty)
    monkeypatch.setattr(demo.tempfile, "mkdtemp", lambda **_: str(tmp_path))
    monkeypatch.setattr(demo.signal, "signal", lambda *_: None)
    monkeypatch.delenv("KEEP", raising=False)
    return play


def test_an_edit_that_should_be_refused_and_passes_fails_the_demo(played, stage, capsys):
    """Expect status 1, the command that did it, and the ends of the logs."""
    (stage.folder / "guard.log").write_text("began\nwatching\n")

    status = played(lambda stage: stage.refused("echo configmap/conf edited"))

    assert status == 1
    told = capsys.readouterr().err
    assert "`echo configmap/conf edited` should end with status 1, and ended with 0" in told
    assert "    watching" in told


def test_a_demo_that_goes_as_promised_ends_well(played, capsys):
    """Expect status 0, and nothing on standard error."""
    assert played(lambda stage: stage.run("echo edited", shows=["edited"])) == 0
    assert capsys.readouterr().err == ""


def test_a_refusal_by_somebody_else_is_none(stage):
    """Expect a failed command to be no proof: it must be Holdfast that refuses."""
    with pytest.raises(staging.Unexpected, match="denied the request"):
        stage.refused("echo connection refused; false")


def test_a_secret_in_an_answer_fails_the_demo_and_is_not_shown(stage):
    """Expect the answer to be withheld: it is on the screen before anybody could look away."""
    with pytest.raises(staging.Unexpected, match="value of a Secret") as raised:
        stage.run("printf hunter; echo 2")

    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in stage.screen.stream.getvalue()


def test_what_never_comes_fails_the_demo(stage, monkeypatch):
    """Expect the wait to end, and to say what was waited for."""
    monkeypatch.setattr(staging, "_WAIT_SECONDS", 0.0)

    with pytest.raises(staging.Unexpected, match="in vain until pigs fly"):
        stage.wait("pigs fly", lambda: False)
