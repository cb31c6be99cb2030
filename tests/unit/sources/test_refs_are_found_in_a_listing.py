"""From the output of ls-remote to the commit of a ref."""

import pytest

from guard.sources import errors, refs, source

ONE, TWO, THREE, FOUR = (digit * 40 for digit in "1234")
LISTING = f"""warning: something else
{ONE}\tHEAD
{ONE}\trefs/heads/main
{TWO}\trefs/heads/feature/v1
{TWO}\trefs/heads/v1
{THREE}\trefs/tags/v1
{FOUR}\trefs/tags/v1^{{}}
{THREE}\trefs/tags/v2
{FOUR}\trefs/tags/v2^{{}}
{ONE}\trefs/tags/light
"""


@pytest.mark.parametrize(
    ("ref", "commit"),
    [
        ("HEAD", ONE),
        ("main", ONE),
        ("v1", TWO),
        ("feature/v1", TWO),
        ("v2", FOUR),
        ("light", ONE),
        ("refs/heads/main", ONE),
        ("refs/tags/v1", FOUR),
        ("refs/tags/light", ONE),
        ("heads/main", None),
        ("mai", None),
    ],
)
def test_a_ref_names_a_commit(ref: str, commit: str | None) -> None:
    """Branches before tags, annotated tags peeled to their commit, full names as they stand."""
    assert commit == refs.choose(ref, refs.parse(LISTING))


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "@",
        "-x",
        "a b",
        "a..b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[b",
        "a\\b",
        "a@{1}",
        "a\n",
        "a//b",
        "/a",
        "a/",
        "a.",
        "a.lock",
        "--upload-pack=id",
    ],
)
def test_what_no_ref_can_be_called_never_reaches_git(ref: str) -> None:
    """The rules of git check-ref-format, and no options."""
    with pytest.raises(errors.UnknownRef):
        refs.check(ref)


@pytest.mark.parametrize("ref", ["HEAD", "main", "feature/x-1", "refs/pull/7/head", "v1.2.3", ONE])
def test_ordinary_names_pass(ref: str) -> None:
    """Nothing that people use is refused."""
    refs.check(ref)


def test_an_unknown_ref_names_similar_ones() -> None:
    """A typing error is seen at once."""
    error = refs.unknown("mian", refs.parse(LISTING), shown="https://git.example/shop.git")

    sentence = "https://git.example/shop.git has no branch or tag mian. Similar: main."
    assert sentence == str(error)


def test_an_abbreviated_commit_is_explained() -> None:
    """A server cannot look one up."""
    error = refs.unknown("3f2c1d9", refs.parse(LISTING), shown="x")

    assert "all its 40 hex digits" in str(error)


def test_an_empty_repository_is_called_so() -> None:
    """Nothing was pushed yet."""
    assert "no branch and no tag" in str(refs.unknown("main", {}, shown="x"))


@pytest.mark.parametrize(
    ("ref", "short"),
    [
        ("main", "main@1111111"),
        ("HEAD", "HEAD@1111111"),
        ("refs/heads/main", "main@1111111"),
        ("refs/tags/v1", "v1@1111111"),
        ("refs/pull/7/head", "refs/pull/7/head@1111111"),
        (ONE, "1111111"),
    ],
)
def test_a_revision_has_a_short_form(ref: str, short: str) -> None:
    """As the tables and messages show it."""
    assert short == source.Revision(ONE, ref).short
