"""From the files of a tree to manifests and faults."""

import json

import pytest

from guard.render import cache, errors, manifests
from guard.sources import source

REVISION = source.Revision("3f2c1d9" + "0" * 33, "main")


def conf(name: str, namespace: str = "shop") -> str:
    """Give a ConfigMap as YAML."""
    return (
        "apiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\ndata: {{a: b}}\n"
    )


def rendered(files: dict[str, str], *, path: str = "") -> manifests.Rendering:
    """Render a tree of these files."""
    tree = source.Tree(REVISION, {name: text.encode() for name, text in files.items()}, path)
    return manifests.render(tree)


def names(rendering: manifests.Rendering) -> list[str]:
    """Give the names of the rendered objects."""
    return [one.key.name for one in rendering.manifests]


def faults(rendering: manifests.Rendering) -> list[str]:
    """Give the faults as a person reads them."""
    return [str(one) for one in rendering.faults]


def test_files_are_read_in_the_order_of_their_names_with_place_and_key() -> None:
    """Every manifest knows its file, its line, its key and its kind."""
    rendering = rendered(
        {
            "b.yml": conf("b"),
            "a/x.yaml": f"# two\n{conf('x')}---\n{conf('z')}",
            "c.json": json.dumps(
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c"}}
            ),
            "README.md": "# no manifest",
        }
    )

    assert faults(rendering) == []
    assert [(one.file, one.line, str(one.key), str(one.gvk)) for one in rendering.manifests] == [
        ("a/x.yaml", 2, "/ConfigMap/shop/x", "v1/ConfigMap"),
        ("a/x.yaml", 7, "/ConfigMap/shop/z", "v1/ConfigMap"),
        ("b.yml", 1, "/ConfigMap/shop/b", "v1/ConfigMap"),
        ("c.json", 1, "apps/Deployment//c", "apps/v1/Deployment"),
    ]


def test_hidden_files_and_folders_are_no_manifests() -> None:
    """They belong to other programs: .github/workflows, .pre-commit-config.yaml."""
    rendering = rendered({".github/w.yaml": "on: push\n", ".x.yaml": "- 1\n", "a.yaml": conf("a")})

    assert (names(rendering), faults(rendering)) == (["a"], [])


def test_a_hidden_folder_that_was_chosen_is_read() -> None:
    """Hidden is what is hidden below the chosen path."""
    assert names(rendered({".deploy/a.yaml": conf("a")}, path=".deploy")) == ["a"]


def test_lists_become_their_items() -> None:
    """A v1 List and a kind's own list, whose items may leave out what the list says."""
    rendering = rendered(
        {
            "a.yaml": "apiVersion: v1\nkind: List\nitems:\n"
            "- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n"
            "- {apiVersion: v1, kind: Service, metadata: {name: t}}\n",
            "b.yaml": "apiVersion: v1\nkind: ConfigMapList\nmetadata: {resourceVersion: '1'}\n"
            "items:\n- metadata: {name: c}\n",
            "c.yaml": "apiVersion: v1\nkind: List\nitems: []\n",
        }
    )

    assert faults(rendering) == []
    assert [(one.gvk.kind, one.key.name, one.line) for one in rendering.manifests] == [
        ("Secret", "s", 1),
        ("Service", "t", 1),
        ("ConfigMap", "c", 1),
    ]


def test_an_object_of_a_kind_that_ends_in_list_is_an_object() -> None:
    """It has a name; a list has none."""
    text = "apiVersion: x.example/v1\nkind: AllowList\nmetadata: {name: a}\nitems: [{b: 1}]\n"

    assert names(rendered({"a.yaml": text})) == ["a"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n", "a.yaml:1: The document is no Kubernetes object: it is not a mapping."),
        ("replicas: 3\n", "a.yaml:1: The document has no apiVersion."),
        ("apiVersion: 1\n", "a.yaml:1: The document has a apiVersion that is no text;"),
        ("apiVersion: v1\n", "a.yaml:1: The document has no kind."),
        ("\napiVersion: v1\nkind: X\n", "a.yaml:2: The document has no metadata."),
        ("apiVersion: a/b/c\nkind: X\n", "a.yaml:1: The document has an apiVersion that is nei"),
        ("apiVersion: /v1\nkind: X\n", "a.yaml:1: The document has an apiVersion that is nei"),
        ("apiVersion: v1\nkind: X\nmetadata: []\n", "a.yaml:1: The document has metadata that"),
        ("apiVersion: v1\nkind: X\nmetadata: {}\n", "a.yaml:1: The document has no metadata.name."),
        (
            "apiVersion: v1\nkind: X\nmetadata: {name: 12345}\n",
            "a.yaml:1: The document has a metadata.name that is no text; put it in quotes.",
        ),
        (
            "apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: yes}\n",
            "a.yaml:1: The document has a metadata.namespace that is no text; put it in quotes.",
        ),
        (
            "apiVersion: v1\nkind: Job\nmetadata: {generateName: a-}\n",
            "a.yaml:1: The document has generateName and no name;",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: X}\n- 7\n",
            "a.yaml:1: Item 1 of the List has no metadata.",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n",
            "a.yaml:1: Item 1 of the List is a List itself.",
        ),
    ],
)
def test_what_is_no_object_is_a_fault_and_the_others_go_on(text: str, sentence: str) -> None:
    """File and line are named, and the next document is rendered."""
    rendering = rendered({"a.yaml": f"{text}---\n{conf('ok')}", "b.yaml": conf("b")})

    assert faults(rendering)[0].startswith(sentence)
    assert isinstance(rendering.faults[0], errors.InvalidDocument)
    assert names(rendering) == ["ok", "b"]


def test_a_syntax_error_in_one_file_leaves_the_other_files_alone() -> None:
    """One bad file is one fault."""
    rendering = rendered({"a.yaml": "a: b: c\n", "b.yaml": conf("b")})

    assert names(rendering) == ["b"]
    assert [one.place for one in rendering.faults] == ["a.yaml:1"]


def test_of_an_object_declared_twice_neither_is_used_and_both_are_named() -> None:
    """In another version it is still the same object."""
    rendering = rendered(
        {
            "a.yaml": conf("x"),
            "b.yaml": f"{conf('z')}---\n{conf('x').replace('v1', 'v2', 1)}",
            "c.yaml": conf("x"),
        }
    )

    assert names(rendering) == ["z"]
    assert faults(rendering) == [
        "b.yaml:6: ConfigMap shop/x is declared in a.yaml:1 too; neither is used.",
        "c.yaml:1: ConfigMap shop/x is declared in a.yaml:1 too; neither is used.",
    ]


def test_one_name_in_two_namespaces_is_two_objects() -> None:
    """The namespace is a part of the key."""
    rendering = rendered({"a.yaml": conf("x", "one"), "b.yaml": conf("x", "two")})

    assert (names(rendering), faults(rendering)) == (["x", "x"], [])


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("kustomization.yaml", "Kustomize is not supported yet"),
        ("kustomization.yml", "Kustomize is not supported yet"),
        ("Kustomization", "Kustomize is not supported yet"),
        ("Chart.yaml", "Helm chart"),
    ],
)
def test_a_folder_for_another_renderer_is_refused_as_a_whole(file: str, word: str) -> None:
    """Its other files are patches and templates: applied as manifests they would do harm."""
    rendering = rendered(
        {
            f"web/{file}": "resources: [a.yaml]\n",
            "web/patch.yaml": conf("half"),
            "web/sub/more.yaml": conf("more"),
            f"web/sub/{file}": "resources: []\n",
            "web2/a.yaml": conf("a"),
        }
    )

    assert names(rendering) == ["a"]
    assert [f"web/{file}"] == [one.place for one in rendering.faults]
    assert word in faults(rendering)[0]


def test_at_the_root_it_refuses_everything() -> None:
    """The folder is then the whole tree."""
    rendering = rendered({"kustomization.yaml": "", "a/b.yaml": conf("a")})

    assert names(rendering) == []
    assert [one.place for one in rendering.faults] == ["kustomization.yaml"]


def test_a_pointer_of_git_lfs_is_no_manifest() -> None:
    """It is refused by name and never applied as text (argo-cd#7230)."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"

    rendering = rendered({"a.yaml": pointer, "b.yaml": conf("b")})

    assert names(rendering) == ["b"]
    assert faults(rendering) == ["a.yaml: The file is a Git LFS pointer; LFS is not supported."]


def test_what_the_source_refused_is_a_fault() -> None:
    """A link or submodule that was not read makes the rendering incomplete."""
    tree = source.Tree(REVISION, {}, refusals=(source.Refusal("a.yaml", "A link."),))

    assert faults(manifests.render(tree)) == ["a.yaml: A link."]


def test_with_a_cache_the_result_is_the_same() -> None:
    """Twice, so that the second comes from the cache."""
    files = {"a.yaml": conf("a").encode(), "b.yaml": b"a: .inf\n"}
    tree = source.Tree(REVISION, files)
    parsed = cache.ParsedFiles()

    plain = manifests.render(tree)
    for _ in range(2):
        cached = manifests.render(tree, cache=parsed)
        assert plain.manifests == cached.manifests
        assert faults(plain) == faults(cached)


def test_an_empty_tree_renders_to_nothing_without_a_fault() -> None:
    """Whether nothing may mean *delete everything* is for the loop to refuse."""
    assert manifests.Rendering((), ()) == rendered({"a.yaml": "# nothing\n"})
