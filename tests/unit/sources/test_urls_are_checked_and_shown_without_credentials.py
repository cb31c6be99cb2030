"""Which URLs git may be given, and how they are shown."""

import pytest

from guard.sources import addresses, errors, source

ALL = frozenset({"https", "ssh", "http", "file"})


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("https://git.example/shop.git", "https"),
        ("https://git.example:8443/team/shop.git", "https"),
        ("https://user:token@git.example/shop.git", "https"),
        ("http://127.0.0.1:8080/shop.git", "http"),
        ("http://[::1]:8080/shop.git", "http"),
        ("ssh://git@git.example:22/shop.git", "ssh"),
        ("git@git.example:team/shop.git", "ssh"),
        ("file:///srv/shop.git", "file"),
    ],
)
def test_urls_of_git_have_their_scheme(url: str, scheme: str) -> None:
    """The scheme decides whether the process allows them."""
    assert scheme == addresses.check(url, allowed_schemes=ALL)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "/srv/shop.git",
        "../shop.git",
        "file://host/shop.git",
        "ext::sh -c id",
        "ext::sh",
        "ext::https://git.example/shop.git",
        "fd::7",
        "git://git.example/shop.git",
        "ftp://git.example/shop.git",
        "HTTPS://git.example/shop.git",
        "--upload-pack=id",
        "-https://git.example/shop.git",
        "ssh://-oProxyCommand=id/shop.git",
        "ssh://-oProxyCommand=id@git.example/shop.git",
        "-oProxyCommand=id@git.example:shop.git",
        "git@-oProxyCommand=id:shop.git",
        "https:///shop.git",
        "https://",
        "https://git.example/shop.git\n",
        "https://git.example/a b.git",
        "https://git.example/\x00",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    """Remote helpers run commands, a leading dash is an option, a path is no URL."""
    with pytest.raises(errors.RefusedUrl):
        addresses.check(url, allowed_schemes=ALL)


def test_a_scheme_must_be_allowed_by_the_process() -> None:
    """The sentence names the scheme and those that are allowed."""
    with pytest.raises(errors.RefusedUrl, match="http is not allowed here, only https, ssh"):
        addresses.check("http://git.example/x.git", allowed_schemes=frozenset({"ssh", "https"}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://git.example/shop.git", "https://git.example/shop.git"),
        ("https://hunter2@git.example/shop.git", "https://git.example/shop.git"),
        ("https://user:hunter2@git.example:8443/a/b.git", "https://git.example:8443/a/b.git"),
        ("https://user:hunter2@x@git.example/a.git", "https://git.example/a.git"),
        ("https://user:hunter2/x@git.example/a.git", "https://git.example/a.git"),
        ("https://git.example/a.git?token=hunter2", "https://git.example/a.git"),
        ("https://git.example/a.git#hunter2", "https://git.example/a.git"),
        ("https://git.example:8443/a@b.git", "https://git.example:8443/a@b.git"),
        ("ssh://git@git.example/shop.git", "ssh://git.example/shop.git"),
        ("git@git.example:shop.git", "git@git.example:shop.git"),
        ("file:///srv/shop.git", "file:///srv/shop.git"),
    ],
)
def test_a_url_is_shown_without_credentials(url: str, shown: str) -> None:
    """A token may stand as user, as password or in the query."""
    assert shown == source.shown_url(url)


def test_each_url_has_its_own_mirror() -> None:
    """The name is a hash: it is safe as a file name and holds no credentials."""
    first, second = (addresses.mirror_name(f"https://u:{name}@h/x.git") for name in ("a", "b"))

    assert first != second
    assert first.isalnum()
