"""Where each binary of the control plane is looked for."""

from pathlib import Path

import pytest
from controlplane import binaries, errors


def runnable(path: Path) -> Path:
    """Write something that may be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def built(name: str, environ: dict[str, str]) -> Path:
    """Put a binary into the cache as a build would have left it."""
    binary = runnable(binaries.binary_folder(environ) / name)
    binary.with_name(f"{name}.pins").write_text(binaries.pins(binaries.RECIPES[name]))
    return binary


def test_kubebuilder_assets_win_for_what_they_hold_and_the_cache_has_the_rest(
    tmp_path: Path,
) -> None:
    """A user's own etcd is used although one is cached; helm, which assets lack, is cached."""
    environ = {"XDG_CACHE_HOME": f"{tmp_path}/cache", "KUBEBUILDER_ASSETS": f"{tmp_path}/assets"}
    own_etcd = runnable(tmp_path / "assets" / "etcd")
    built("etcd", environ)
    cached_helm = built("helm", environ)

    found = binaries.ensure(["etcd", "helm"], environ=environ)

    assert {"etcd": own_etcd, "helm": cached_helm} == found


def test_a_file_in_kubebuilder_assets_that_cannot_be_run_is_passed_over(tmp_path: Path) -> None:
    """A download that was never marked executable must not hide a good binary."""
    environ = {"XDG_CACHE_HOME": f"{tmp_path}/cache", "KUBEBUILDER_ASSETS": f"{tmp_path}/assets"}
    runnable(tmp_path / "assets" / "etcd").chmod(0o644)
    cached = built("etcd", environ)

    assert {"etcd": cached} == binaries.ensure(["etcd"], environ=environ)


@pytest.mark.parametrize("note", [None, "", "0" * 64])
def test_a_binary_made_from_other_pins_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str | None
) -> None:
    """Raising the version of helm must not leave the old one in use."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    stale = built("helm", environ)
    stale.with_name("helm.pins").unlink()
    if note is not None:
        stale.with_name("helm.pins").write_text(note)
    rebuilt: list[str] = []

    def build(name: str, **_: object) -> Path:
        rebuilt.append(name)
        return stale

    monkeypatch.setattr(binaries, "_build", build)

    binaries.ensure(["helm"], environ=environ)

    assert rebuilt == ["helm"]


def test_the_cache_folder_follows_xdg_and_carries_the_kubernetes_version(tmp_path: Path) -> None:
    """Two versions of Kubernetes never share binaries."""
    version = binaries.kubernetes_version()

    assert tmp_path / "holdfast" / version / "bin" == binaries.binary_folder(
        {"XDG_CACHE_HOME": str(tmp_path)}
    )
    assert tmp_path / ".cache" / "holdfast" / version / "bin" == binaries.binary_folder(
        {"HOME": str(tmp_path)}
    )


@pytest.mark.parametrize(
    "text",
    [
        "module m\n\nrequire k8s.io/kubernetes v1.36.3\n",
        "module m\n\nrequire (\n\tk8s.io/kubernetes-else v9.9.9\n\tk8s.io/kubernetes v1.36.3\n)\n",
        "module m\n\nrequire (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n",
    ],
)
def test_a_pinned_version_is_read_from_every_form_of_a_require(tmp_path: Path, text: str) -> None:
    """Tidying moves a requirement between these forms."""
    go_mod = tmp_path / "go.mod"
    go_mod.write_text(text)

    assert binaries.pinned_version(go_mod, "k8s.io/kubernetes") == "v1.36.3"


def test_a_module_that_is_not_pinned_is_a_clear_error(tmp_path: Path) -> None:
    """The sentence names the file and the module."""
    go_mod = tmp_path / "go.mod"
    go_mod.write_text("module m\n")

    with pytest.raises(errors.BuildError, match=r"go\.mod does not require k8s\.io/kubernetes"):
        binaries.pinned_version(go_mod, "k8s.io/kubernetes")


@pytest.mark.parametrize("name", sorted(binaries.RECIPES))
def test_every_recipe_can_be_followed(name: str) -> None:
    """Its module is pinned, and its linker flags have no placeholder left."""
    flags = binaries.linker_flags(binaries.RECIPES[name])

    assert flags.startswith("-s -w")
    assert "{" not in flags
