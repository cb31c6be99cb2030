"""Two runs on one machine build the control plane once."""

import asyncio
import fcntl
import io
from pathlib import Path

import pytest
from controlplane import binaries, progress
from support import polling


async def test_a_second_run_waits_for_the_first_and_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why it waits, and takes what the first one made."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    folder = binaries.binary_folder(environ)
    folder.mkdir(parents=True)
    monkeypatch.setattr(binaries, "_build", lambda name, **_: pytest.fail(f"built {name} twice"))
    said = io.StringIO()

    with (folder.parent / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = asyncio.create_task(
            asyncio.to_thread(
                binaries.ensure, ["etcd"], environ=environ, tell=progress.Progress(said)
            )
        )
        await polling.eventually(lambda: "waiting for it" in said.getvalue())
        etcd = folder / "etcd"
        etcd.write_text("built by the first run")
        etcd.with_name("etcd.pins").write_text(binaries.pins(binaries.RECIPES["etcd"]))

    assert await second == {"etcd": etcd}
