"""Looking up and reading revisions of a real Git server."""

import asyncio
from pathlib import Path

import pytest
from support import gitserver

from guard.sources import errors, git, source

pytestmark = pytest.mark.integration


async def test_a_branch_is_resolved_and_its_files_are_read(shop, make_source) -> None:
    """Only the files below the path, with their paths from the root of the repository."""
    commit = shop.commit(
        {"apps/web.yaml": "a: 1\n", "apps/db/conf.json": "{}", "apps/x.md": "-", "b.yaml": "-"},
        "first",
    )

    opened = make_source(path="./apps/")
    revision = await opened.resolve()
    tree = await opened.read(revision)

    assert source.Revision(commit, "main") == revision
    assert tree.files == {"apps/web.yaml": b"a: 1\n", "apps/db/conf.json": b"{}"}
    assert (tree.path, tree.refusals) == ("apps", ())
    await opened.close()


@pytest.mark.parametrize("ref", ["HEAD", "main", "refs/heads/main", "v1", "refs/tags/v1", "light"])
async def test_every_kind_of_ref_leads_to_its_commit(shop, make_source, ref: str) -> None:
    """Annotated tags are peeled."""
    commit = shop.commit({"a.yaml": "a: 1\n"}, "first")
    shop.tag("v1", commit, annotated=True)
    shop.tag("light", commit)

    opened = make_source(ref=ref)

    assert source.Revision(commit, ref) == await opened.resolve()
    assert (await opened.read(await opened.resolve())).files == {"a.yaml": b"a: 1\n"}


@pytest.mark.parametrize("protocol_v2", [True, False])
async def test_a_commit_by_its_id_is_read_also_when_it_is_no_tip(
    tmp_path: Path, make_source, *, protocol_v2: bool
) -> None:
    """An old server gives the tips only: then everything is fetched."""
    with gitserver.GitServer(tmp_path / "old", protocol_v2=protocol_v2) as old_server:
        repository = old_server.create("shop")
        first = repository.commit({"a.yaml": "a: 1\n"}, "first")
        repository.commit({"a.yaml": "a: 2\n"}, "second")
        repository.commit({"a.yaml": "a: 3\n"}, "third")
        opened = make_source(url=old_server.url("shop"), ref=first)

        revision = await opened.resolve()

        assert first[:7] == revision.short
        assert (await opened.read(revision)).files == {"a.yaml": b"a: 1\n"}


async def test_nothing_is_fetched_for_a_commit_that_is_here(server, shop, make_source) -> None:
    """A poll without a new commit is one ls-remote, and a second reading asks nobody."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    opened = make_source()
    revision = await opened.resolve()
    await opened.read(revision)
    server.requests.clear()

    await opened.read(revision)

    assert server.requests == []


async def test_a_new_commit_is_seen(shop, make_source) -> None:
    """Changed, new and deleted files."""
    shop.commit({"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"}, "first")
    opened = make_source()
    await opened.read(await opened.resolve())

    shop.commit({"a.yaml": "a: 2\n", "b.yaml": None, "c/d.yaml": "c: 1\n"}, "second")
    tree = await opened.read(await opened.resolve())

    assert tree.files == {"a.yaml": b"a: 2\n", "c/d.yaml": b"c: 1\n"}


async def test_a_path_may_name_one_file(shop, make_source) -> None:
    """The smallest source there is."""
    shop.commit({"apps/web.yaml": "a: 1\n", "apps/web.yaml.md": "-"}, "first")
    opened = make_source(path="apps/web.yaml")

    tree = await opened.read(await opened.resolve())

    assert tree.files == {"apps/web.yaml": b"a: 1\n"}
    assert tree.relative("apps/web.yaml") == "web.yaml"


@pytest.mark.parametrize(
    ("files", "path", "what"),
    [
        ({"a.yaml": None}, ".", "does not exist"),
        ({"other/a.yaml": "a: 1\n", "a.yaml": None}, "apps", "does not exist"),
        ({"app/a.yaml": "a: 1\n"}, "apps", "does not exist"),
        ({"apps/README.md": "-"}, "apps", "holds no YAML or JSON file"),
        ({"apps/.github/a.yaml": "-"}, "apps", "holds no YAML or JSON file"),
        ({"apps*/a.yaml": "-"}, "app*", "does not exist"),
    ],
)
async def test_nothing_to_read_is_an_error(shop, make_source, files, path, what) -> None:
    """A fetch that gives nothing must never mean *delete everything* (source-controller#350)."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    commit = shop.commit(files, "second")
    opened = make_source(path=path)

    with pytest.raises(errors.EmptyPath) as raised:
        await opened.read(await opened.resolve())

    assert path in str(raised.value)
    assert commit in str(raised.value)
    assert what in str(raised.value)


async def test_links_submodules_and_large_files_are_refused_by_name(shop, make_source) -> None:
    """The other files are read; nothing is half-read in silence."""
    commit = shop.commit({"outside.yaml": "a: 1\n"}, "first")
    shop.commit(
        {
            "apps/web.yaml": "a: 1\n",
            "apps/.v/2.yaml": "b: 1\n",
            "apps/current.yaml": gitserver.Link(".v/2.yaml"),
            "apps/etc.yaml": gitserver.Link("/etc/passwd"),
            "apps/up.yaml": gitserver.Link("../outside.yaml"),
            "apps/gone.yaml": gitserver.Link("gone"),
            "apps/lib": gitserver.Submodule(commit),
            "apps/large.yaml": "#" * 2000,
            "tests/bad": gitserver.Link("/"),
        },
        "second",
    )
    opened = make_source(path="apps", limits=git.Limits(max_file_bytes=1000))

    tree = await opened.read(await opened.resolve())

    assert tree.files == {"apps/web.yaml": b"a: 1\n", "apps/current.yaml": b"b: 1\n"}
    assert {one.file: one.sentence for one in tree.refusals} == {
        "apps/etc.yaml": "The symbolic link leaves the path apps.",
        "apps/up.yaml": "The symbolic link leaves the path apps.",
        "apps/gone.yaml": "The symbolic link points to nothing.",
        "apps/lib": "Git submodules are not supported.",
        "apps/large.yaml": "The file has more than 1000 bytes.",
    }


async def test_a_tree_above_the_limit_is_refused(shop, make_source) -> None:
    """The process would rather refuse than run out of memory."""
    shop.commit({f"{number}.yaml": "#" * 100 for number in range(20)}, "first")
    opened = make_source(limits=git.Limits(max_tree_bytes=1999))

    with pytest.raises(errors.TreeTooLarge, match="2000 bytes, more than 1999"):
        await opened.read(await opened.resolve())


async def test_history_that_was_rewritten_is_followed(shop, make_source) -> None:
    """An unrelated history with the old one collected, and then back again (flux#3120)."""
    first = shop.commit({"a.yaml": "a: 1\n"}, "first")
    opened = make_source()
    await opened.read(await opened.resolve())
    await opened.pin(source.Revision(first, "main"))

    shop.commit({"b.yaml": "b: 1\n"}, "other", orphan=True)
    shop.collect_garbage()
    rewritten = await opened.read(await opened.resolve())
    pinned = await opened.read(await opened.pinned())
    shop.reset("main", shop.commit({"a.yaml": "a: 0\n"}, "older", branch="old", orphan=True))
    back = await opened.read(await opened.resolve())

    assert rewritten.files == {"b.yaml": b"b: 1\n"}
    assert pinned.files == {"a.yaml": b"a: 1\n"}
    assert back.files == {"a.yaml": b"a: 0\n"}


async def test_a_commit_that_vanished_between_look_up_and_reading_is_unknown(
    shop, make_source
) -> None:
    """The next look-up finds what is there then."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    opened = make_source()
    revision = await opened.resolve()
    shop.commit({"b.yaml": "b: 1\n"}, "other", orphan=True)
    shop.collect_garbage()

    with pytest.raises(errors.UnknownRef, match="not in the repository any more"):
        await opened.read(revision)


async def test_many_commits_leave_a_tidy_mirror(shop, make_source, monkeypatch, tmp_path) -> None:
    """Each fetch adds a pack; repacking keeps what is pinned and drops the rest."""
    monkeypatch.setattr("guard.sources.mirrors._MAX_PACKS", 3)
    opened = make_source()
    first = source.Revision(shop.commit({"a.yaml": "a: 0\n"}, "0"), "main")
    await opened.read(first)
    await opened.pin(first)

    for number in range(1, 9):
        shop.commit({"a.yaml": f"a: {number}\n"}, str(number))
        await opened.read(await opened.resolve())

    assert len(list(tmp_path.glob("mirror/*.git/objects/pack/*.pack"))) <= 3
    assert (await opened.read(first)).files == {"a.yaml": b"a: 0\n"}


async def test_sources_of_one_url_share_a_mirror_at_the_same_time(
    shop, make_source, tmp_path
) -> None:
    """Several Guards with their own refs, paths and pins."""
    commits = {
        f"b{number}": shop.commit({f"p{number}/a.yaml": f"a: {number}\n"}, "x", branch=f"b{number}")
        for number in range(6)
    }

    async def read_and_pin(number: int) -> dict[str, bytes]:
        opened = make_source(ref=f"b{number}", path=f"p{number}", owner=f"shop/g{number}")
        revision = await opened.resolve()
        tree = await opened.read(revision)
        await opened.pin(revision)
        return dict(tree.files)

    trees = await asyncio.gather(*(read_and_pin(number) for number in range(6)))
    pins = [await make_source(owner=f"shop/g{number}").pinned() for number in range(6)]

    assert [{f"p{number}/a.yaml": f"a: {number}\n".encode()} for number in range(6)] == trees
    assert list(commits.values()) == [pin.id for pin in pins]
    assert len(list(tmp_path.glob("mirror/*.git"))) == 1
