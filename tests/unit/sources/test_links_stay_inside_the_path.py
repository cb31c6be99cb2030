"""Which files of a listing are read: links, submodules, sizes, names.

Links to /etc leaked files (argo-cd#9843), a strict check refused whole repositories for a link in
a folder of tests (argo-cd#12593), and linked folders were silently not read (argo-cd#13342).
"""

import pytest

from guard.sources import errors, listing

MAX_BYTES = 1000


def planned(
    files: list[str],
    links: dict[str, str] | None = None,
    *,
    path: str = "",
    submodules: tuple[str, ...] = (),
    size: int = 10,
) -> listing.Plan:
    """Plan a tree; the id of each file's blob is its path."""
    entries = [
        *(listing.Entry("100644", file, size, file) for file in files),
        *(listing.Entry("120000", link, 5, link) for link in links or {}),
        *(listing.Entry("160000", module, 0, module) for module in submodules),
    ]
    return listing.plan(
        sorted(entries, key=lambda entry: entry.path),
        links or {},
        path=path,
        max_file_bytes=MAX_BYTES,
    )


def refused(plan: listing.Plan) -> dict[str, str]:
    """Give the refusals by file."""
    return {one.file: one.sentence for one in plan.refusals}


def test_yaml_and_json_are_read_and_nothing_else() -> None:
    """Hidden files and folders, pictures and programs are left out."""
    plan = planned(
        ["a.yaml", "b.yml", "c.json", "d.md", ".e.yaml", ".f/g.yaml", "h/i.yaml", "yaml"]
    )

    assert {"a.yaml", "b.yml", "c.json", "h/i.yaml"} == set(plan.blobs)
    assert refused(plan) == {}


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../../etc/passwd", "../other/a.yaml", "..", "/", "../apps2/a.yaml"],
)
def test_a_link_out_of_the_path_is_refused(target: str) -> None:
    """Absolute, parent, sibling: none is read, and the refusal stops pruning."""
    plan = planned(["apps/a.yaml"], {"apps/x.yaml": target}, path="apps")

    assert {"apps/a.yaml"} == set(plan.blobs)
    assert refused(plan) == {"apps/x.yaml": "The symbolic link leaves the path apps."}


def test_a_link_in_a_hidden_folder_is_ignored() -> None:
    """Nobody asked for it."""
    assert planned(["a.yaml"], {".git-hooks/x": "/etc/passwd"}).refusals == ()


@pytest.mark.parametrize("target", ["gone.yaml", "folder/gone.yaml", "./gone"])
def test_a_dangling_link_is_refused(target: str) -> None:
    """Something that should have been read is not there."""
    plan = planned(["a.yaml"], {"x.yaml": target})

    assert refused(plan) == {"x.yaml": "The symbolic link points to nothing."}


def test_loops_of_links_are_refused() -> None:
    """A loop of two, of one, and one through a folder."""
    plan = planned(
        ["a.yaml"], {"x.yaml": "y.yaml", "y.yaml": "x.yaml", "z": "z", "f/g": "../f/g/h"}
    )

    assert {"x.yaml", "y.yaml", "z", "f/g"} == set(refused(plan))
    assert {"The symbolic link is one of a loop."} == set(refused(plan).values())


def test_a_link_to_a_file_that_is_read_anyway_adds_nothing() -> None:
    """Else its objects would be declared twice."""
    plan = planned(["base/a.yaml"], {"x.yaml": "base/a.yaml", "chain.yaml": "x.yaml"})

    assert plan.blobs == {"base/a.yaml": "base/a.yaml"}
    assert refused(plan) == {}


def test_a_link_to_a_file_that_is_not_read_at_its_own_place_is_followed() -> None:
    """A hidden file, a file of another name, and a chain to it."""
    plan = planned(
        [".v/2.yaml", "versions/web.v2"],
        {"a.yaml": ".v/2.yaml", "b.yaml": "versions/web.v2", "c.yaml": "b.yaml"},
    )

    assert plan.blobs == {
        "a.yaml": ".v/2.yaml",
        "b.yaml": "versions/web.v2",
        "c.yaml": "versions/web.v2",
    }


def test_a_link_to_a_folder_is_followed_where_its_files_are_not_read_already() -> None:
    """Visible folders are read at their own place, hidden ones through the link."""
    plan = planned(
        ["base/a.yaml", ".v/2/b.yaml", ".v/2/c/d.yaml", ".v/2/e.md"],
        {"again": "base", "current": ".v/2", "root": "."},
    )

    assert plan.blobs == {
        "base/a.yaml": "base/a.yaml",
        "current/b.yaml": ".v/2/b.yaml",
        "current/c/d.yaml": ".v/2/c/d.yaml",
    }
    assert refused(plan) == {}


def test_a_link_may_leave_and_come_back() -> None:
    """Where it ends counts."""
    plan = planned(["apps/.b/x.yaml"], {"apps/a.yaml": "../apps/.b/x.yaml"}, path="apps")

    assert plan.blobs == {"apps/a.yaml": "apps/.b/x.yaml"}


def test_a_link_through_a_linked_folder_is_followed() -> None:
    """As a file system would."""
    plan = planned([".v/2/b.yaml"], {"current": ".v/2", "x.yaml": "current/b.yaml"})

    assert plan.blobs == {"current/b.yaml": ".v/2/b.yaml", "x.yaml": ".v/2/b.yaml"}


def test_links_and_submodules_in_a_linked_hidden_folder_are_refused() -> None:
    """Rare enough to be refused by name rather than followed into."""
    plan = planned(
        [".v/b.yaml"], {"current": ".v", ".v/c.yaml": "b.yaml"}, submodules=(".v/module",)
    )

    assert {"current/b.yaml"} == set(plan.blobs)
    assert {"current/c.yaml", "current/module"} == set(refused(plan))


def test_submodules_are_refused_by_name() -> None:
    """Their files are in another repository."""
    plan = planned(["a.yaml"], submodules=("lib", ".hidden/lib"))

    assert refused(plan) == {"lib": "Git submodules are not supported."}


def test_a_large_file_is_refused_alone() -> None:
    """The others are read."""
    entries = (
        listing.Entry("100644", "1", MAX_BYTES, "a.yaml"),
        listing.Entry("100644", "2", MAX_BYTES + 1, "b.yaml"),
        listing.Entry("100644", "3", MAX_BYTES + 1, "c.png"),
    )

    plan = listing.plan(entries, {}, path="", max_file_bytes=MAX_BYTES)

    assert plan.blobs == {"a.yaml": "1"}
    assert refused(plan) == {"b.yaml": "The file has more than 1000 bytes."}


def test_names_that_cannot_be_shown_are_refused() -> None:
    """A line break or a terminal sequence in a name would forge a message."""
    entries = listing.parse(
        b"100644 blob 1111 7\ta\x1b[31m.yaml\x00100644 blob 2222       7\tb\xff.yaml\x00"
        b"100644 blob 3333 7\t\xc3\xa4.yaml\x00"
    )

    plan = listing.plan(entries, {}, path="", max_file_bytes=MAX_BYTES)

    assert plan.blobs == {"ä.yaml": "3333"}
    assert [one.file for one in plan.refusals] == ["a?[31m.yaml", "b\\xff.yaml"]


def test_a_listing_is_read_field_by_field() -> None:
    """Sizes are padded, submodules have none, names may hold anything."""
    output = (
        b"100644 blob aaaa      12\tapps/a b.yaml\x00"
        b"160000 commit bbbb       -\tlib\x00"
        b"120000 blob cccc       4\tx\ty\x00"
    )

    assert (
        listing.Entry("100644", "aaaa", 12, "apps/a b.yaml"),
        listing.Entry("160000", "bbbb", 0, "lib"),
        listing.Entry("120000", "cccc", 4, "x\ty"),
    ) == listing.parse(output)


@pytest.mark.parametrize(
    ("path", "normal"),
    [("", ""), (".", ""), ("./", ""), ("apps", "apps"), ("./apps//web/", "apps/web")],
)
def test_a_path_is_brought_into_gits_form(path: str, normal: str) -> None:
    """People write paths in many ways."""
    assert normal == listing.normalised(path)


@pytest.mark.parametrize("path", ["/etc", "..", "a/../../b", "a/..", "a\nb", "a\0"])
def test_a_path_out_of_the_repository_is_refused(path: str) -> None:
    """Before git sees it."""
    with pytest.raises(errors.RefusedPath):
        listing.normalised(path)
