"""What pip within the image's build learns of this machine."""

from pathlib import Path

import pytest
from e2e import image


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which pip finds no settings but those of a test."""
    return {"PIP_CONFIG_FILE": "/dev/null", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}


def test_an_index_and_an_authority_are_handed_on_as_secrets(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """The authority stands at another place in there, and the settings say so."""
    authority = tmp_path / "ca.pem"
    authority.write_text("PEM")
    environ |= {"PIP_INDEX_URL": "https://index.example/simple", "PIP_CERT": str(authority)}

    flags = image.pip_secrets(environ, tmp_path)

    settings = (tmp_path / "pip.conf").read_text().splitlines()
    assert settings[0] == "[global]"
    assert {"index-url = https://index.example/simple", "cert = /run/secrets/ca"} <= set(settings)
    assert f"id=ca,src={authority}" in flags
    assert f"id=pip,src={tmp_path / 'pip.conf'}" in flags


def test_folders_of_this_machine_are_not_handed_on(tmp_path: Path, environ: dict[str, str]) -> None:
    """They do not exist in the build."""
    environ |= {"PIP_FIND_LINKS": str(tmp_path), "PIP_CACHE_DIR": str(tmp_path)}

    image.pip_secrets(environ, tmp_path)

    assert str(tmp_path) not in (tmp_path / "pip.conf").read_text()


def test_a_machine_without_settings_gives_an_empty_file(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """Then pip asks its default index."""
    flags = image.pip_secrets(environ, tmp_path)

    assert (tmp_path / "pip.conf").read_text().splitlines()[:1] == ["[global]"]
    assert not [flag for flag in flags if flag.startswith("id=ca")]
