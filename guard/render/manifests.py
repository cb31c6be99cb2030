"""From a tree of files to the objects that it declares, and a fault for each thing that is none."""

import dataclasses
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from guard.api import keys
from guard.api.objects import RawObject
from guard.render import cache as caches
from guard.render import errors, yaml
from guard.sources import source

_NOT_YET: Final = {
    "kustomization.yaml": "Kustomize is not supported yet",
    "kustomization.yml": "Kustomize is not supported yet",
    "Kustomization": "Kustomize is not supported yet",
    "Chart.yaml": "A Helm chart as source is not supported yet",
}
"""Files that give everything in and below their folder another meaning than manifests."""

_API_VERSION: Final = re.compile(r"[^/\s]+(?:/[^/\s]+)?")

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """One declared object as parsed JSON, and where it stands (``line`` from 1)."""

    obj: RawObject
    file: str
    line: int

    @property
    def key(self) -> keys.ObjectKey:
        """What identifies the object; the namespace is empty where the manifest names none."""
        return keys.ObjectKey.of(self.obj)

    @property
    def gvk(self) -> keys.GroupVersionKind:
        """Kind and version as written."""
        return keys.GroupVersionKind.of(self.obj)


@dataclasses.dataclass(frozen=True, slots=True)
class Rendering:
    """All that a tree declares. With any fault it is incomplete, and nothing may be pruned."""

    manifests: tuple[Manifest, ...]
    faults: tuple[errors.RenderError, ...]


def render(tree: source.Tree, *, cache: caches.ParsedFiles | None = None) -> Rendering:
    """Read every manifest of the tree, files in the order of their names.

    A fault hides its own document only, except that a syntax error ends its file. Of an object
    that is declared twice no copy is used: which one is meant only a person knows.
    """
    parse = yaml.parse if cache is None else cache.parse
    faults: list[errors.RenderError] = [
        errors.UnsupportedFile(refusal.file, 0, refusal.sentence) for refusal in tree.refusals
    ]
    found: list[Manifest] = []
    folders = _foreign_folders(tree.files)
    for folder, file in sorted(folders.items()):
        sentence = f"{_NOT_YET[posixpath.basename(file)]}; nothing below {folder or '.'} is read."
        faults.append(errors.UnsupportedFile(file, 0, sentence))
    for file in sorted(tree.files):
        if not source.is_manifest(tree.relative(file)) or _is_below(file, folders):
            continue
        data = tree.files[file]
        if data.startswith(_LFS_POINTER):
            sentence = "The file is a Git LFS pointer; LFS is not supported."
            faults.append(errors.UnsupportedFile(file, 0, sentence))
            continue
        stream = parse(data, file=file)
        faults.extend(stream.faults)
        for document in stream.documents:
            found.extend(_objects(document, file, faults))
    return Rendering(tuple(_without_duplicates(found, faults)), tuple(faults))


def _foreign_folders(files: Iterable[str]) -> dict[str, str]:
    """Give the outermost folders that are no manifests, each with the file that says so."""
    marked = {
        posixpath.dirname(file): file
        for file in sorted(files)
        if posixpath.basename(file) in _NOT_YET
    }
    return {
        folder: file
        for folder, file in marked.items()
        if not folder or not _is_below(posixpath.join(posixpath.dirname(folder), "_"), marked)
    }


def _is_below(file: str, folders: Mapping[str, str]) -> bool:
    folder = posixpath.dirname(file)
    while folder:
        if folder in folders:
            return True
        folder = posixpath.dirname(folder)
    return "" in folders


def _objects(
    document: yaml.Document, file: str, faults: list[errors.RenderError]
) -> Iterator[Manifest]:
    value = document.value
    if isinstance(value, dict) and _is_list(value):
        for number, item in enumerate(value["items"], start=1):
            if isinstance(item, dict):
                _complete_kind(item, value)
            nested = isinstance(item, dict) and _is_list(item)
            wrong = "is a List itself" if nested else _what_is_wrong(item)
            if wrong:
                sentence = f"Item {number} of the {value['kind']} {wrong}."
                faults.append(errors.InvalidDocument(file, document.line, sentence))
            else:
                yield Manifest(item, file, document.line)
        return
    wrong = _what_is_wrong(value)
    if wrong:
        faults.append(errors.InvalidDocument(file, document.line, f"The document {wrong}."))
    else:
        yield Manifest(value, file, document.line)


def _is_list(value: RawObject) -> bool:
    """Tell if it is a list of objects: ``List``, or a kind's own (``ConfigMapList``).

    An object of a kind that happens to end so has a name, a list has none.
    """
    kind = value.get("kind")
    metadata = value.get("metadata")
    return (
        isinstance(kind, str)
        and kind.endswith("List")
        and isinstance(value.get("items"), list)
        and not (isinstance(metadata, dict) and "name" in metadata)
    )


def _complete_kind(item: RawObject, parent: RawObject) -> None:
    """Fill apiVersion and kind from a kind's own list, as kubectl does (UnstructuredList)."""
    kind = str(parent["kind"]).removesuffix("List")
    if kind and "kind" not in item and "apiVersion" not in item:
        item["kind"] = kind
        item["apiVersion"] = parent.get("apiVersion")


def _what_is_wrong(value: Any) -> str | None:
    """Say what keeps a document from being an object: the end of a sentence, or None."""
    if not isinstance(value, dict):
        return "is no Kubernetes object: it is not a mapping"
    wrong = _wrong_text(value, "apiVersion", "apiVersion") or _wrong_text(value, "kind", "kind")
    if wrong:
        return wrong
    if not _API_VERSION.fullmatch(value["apiVersion"]):
        return "has an apiVersion that is neither VERSION nor GROUP/VERSION"
    return _wrong_metadata(value.get("metadata"))


def _wrong_metadata(metadata: Any) -> str | None:
    if not isinstance(metadata, dict):
        return "has no metadata" if metadata is None else "has metadata that is no mapping"
    if "name" not in metadata and metadata.get("generateName"):
        return "has generateName and no name; a guarded object needs a fixed name"
    if not isinstance(metadata.get("namespace") or "", str):
        return "has a metadata.namespace that is no text; put it in quotes"
    return _wrong_text(metadata, "name", "metadata.name")


def _wrong_text(value: RawObject, field: str, shown: str) -> str | None:
    text = value.get(field)
    if text is None or text == "":
        return f"has no {shown}"
    if not isinstance(text, str):
        return f"has a {shown} that is no text; put it in quotes"
    return None


def _without_duplicates(
    found: list[Manifest], faults: list[errors.RenderError]
) -> Iterator[Manifest]:
    places: dict[keys.ObjectKey, list[Manifest]] = {}
    for manifest in found:
        places.setdefault(manifest.key, []).append(manifest)
    for key, copies in places.items():
        if len(copies) == 1:
            yield copies[0]
            continue
        first = copies[0]
        for copy in copies[1:]:
            sentence = f"{key.title} is declared in {first.file}:{first.line} too; neither is used."
            faults.append(errors.DuplicateObject(copy.file, copy.line, sentence))
