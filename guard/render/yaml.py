"""YAML and JSON files as Kubernetes reads them, built from libyaml's event stream.

A real stream parser finds the documents: cutting the text at ``---`` lines dropped documents whose
separator had a comment (kubernetes/kubernetes#103185) and split strings that held dashes.

Stricter than kubectl where kubectl picks one of two readings in silence, each a fault with file
and line: a key that stands twice, a merge that overrides a key written before it, ``.inf`` and
``.nan``, tags other than those of JSON's types, bytes that are no UTF-8.
"""

import dataclasses
import math
from typing import Any, Final

import yaml

from guard.render import errors, jsontext, scalars

MAX_DEPTH: Final = 200
"""Lists and mappings within each other. orjson, which writes the objects, ends at 254."""

MAX_ALIAS_BYTES: Final = 1024 * 1024
"""What the aliases of one file may add to it: nested ones grow without bound ("billion laughs")."""

_TAGS: Final = {
    "tag:yaml.org,2002:null": scalars.NULL,
    "tag:yaml.org,2002:bool": scalars.BOOL,
    "tag:yaml.org,2002:int": scalars.INT,
    "tag:yaml.org,2002:float": scalars.FLOAT,
}
_TAG_STR: Final = "tag:yaml.org,2002:str"
_TAG_MAP: Final = "tag:yaml.org,2002:map"
_TAG_SEQ: Final = "tag:yaml.org,2002:seq"
_TAG_MERGE: Final = "tag:yaml.org,2002:merge"
_NO_TAG: Final = frozenset({None, "!"})

_MERGE: Final = object()  # stands for the key << while a mapping is built


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One document: its JSON value, and the line (from 1) on which it begins."""

    value: Any
    line: int


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """What one file holds: the readable documents, and a fault for each that is not."""

    documents: tuple[Document, ...]
    faults: tuple[errors.RenderError, ...] = ()


def parse(data: bytes, *, file: str) -> Stream:
    """Read all documents of a YAML or JSON file; empty documents (comments only) are left out.

    ``file`` names the file in faults, and is read as JSON alone if it ends in ``.json``. A bad
    document does not hide the others, but a syntax error does hide what follows it in the file:
    where the next document begins is unknown then, and the fault says so.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Stream((), (errors.UnreadableFile(file, line, "The file is not UTF-8 text."),))
    only_json = file.endswith(".json")
    if only_json or text.lstrip().startswith("{"):
        # As kubectl does. JSON is no subset of this YAML: surrogate pairs are errors there.
        try:
            found = jsontext.documents(text, file=file)
        except jsontext.NotJsonError as error:
            if only_json:
                sentence = "The file is no JSON; the rest of the file is not read."
                return Stream((), (errors.UnreadableFile(file, error.line, sentence),))
        except errors.UnreadableFile as error:
            return Stream((), (error,))
        else:
            return Stream(
                tuple(Document(value, line) for value, line in found if value is not None)
            )
    return KubeLoader(text, file=file).stream()


class KubeLoader:
    """Builds the documents of one text from the events of libyaml.

    Events rather than PyYAML's nodes: half the time, and depth and aliases are bounded while the
    values are built and not after.
    """

    def __init__(self, text: str, *, file: str) -> None:
        self._events: Any = yaml.CSafeLoader(text.encode())  # events are of many types, all untyped
        self._file = file
        self._text = text
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._depth = 0
        self._size = 0
        self._alias_bytes = 0

    def stream(self) -> Stream:
        """Read to the end of the text, or to the first syntax error."""
        documents: list[Document] = []
        faults: list[errors.RenderError] = []
        try:
            self._events.get_event()  # the start of the stream
            while isinstance(self._events.get_event(), yaml.DocumentStartEvent):
                self._document(documents, faults)
        except yaml.MarkedYAMLError as error:
            # libyaml's problems are constants; PyYAML's own could quote the text, so none is used.
            line = error.problem_mark.line + 1 if error.problem_mark is not None else 0
            sentence = f"YAML syntax: {error.problem}; the rest of the file is not read."
            faults.append(errors.UnreadableFile(self._file, line, sentence))
        except yaml.reader.ReaderError as error:
            line = self._text.encode().count(b"\n", 0, error.position) + 1
            sentence = "The file holds a control character; the rest of the file is not read."
            faults.append(errors.UnreadableFile(self._file, line, sentence))
        finally:
            self._events.dispose()
        return Stream(tuple(documents), tuple(faults))

    def _document(self, documents: list[Document], faults: list[errors.RenderError]) -> None:
        self._anchors.clear()
        self._depth = 0
        event = self._events.get_event()
        line = event.start_mark.line + 1
        try:
            value = self._value(event)
        except errors.UnreadableFile as fault:
            faults.append(fault)
        else:
            if value is not None:
                documents.append(Document(value, line))
        while not isinstance(event, yaml.DocumentEndEvent):
            event = self._events.get_event()

    def _value(self, event: Any) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        if kind is yaml.ScalarEvent:
            value = self._scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = (value, len(event.value))
            return value
        before = self._size
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(event, f"Lists and mappings are nested deeper than {MAX_DEPTH}.")
        collection = self._mapping(event) if kind is yaml.MappingStartEvent else self._list(event)
        self._depth -= 1
        if event.anchor:
            self._anchors[event.anchor] = (collection, self._size - before)
        return collection

    def _scalar(self, event: Any) -> scalars.Scalar:
        text: str = event.value
        tag = event.tag
        self._size += len(text) + 8  # and what a key, a colon and a line break take
        if tag in _NO_TAG:
            # A bare "!" says: do not guess.
            if tag == "!" or not event.implicit[0]:
                return text
            value = scalars.plain(text)
        elif tag == _TAG_STR:
            return text
        else:
            value = self._tagged(event)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._fault(event, "The value is infinite or not a number; JSON has neither.")
        return value

    def _tagged(self, event: Any) -> scalars.Scalar:
        wanted = _TAGS.get(event.tag)
        if wanted is None:
            raise self._fault(event, "A YAML tag that is no type of JSON is not supported.")
        found, value = scalars.resolve(event.value)
        if found == scalars.INT and wanted == scalars.FLOAT and isinstance(value, int):
            return scalars.normal(float(value))
        if found != wanted:
            raise self._fault(event, f"The value is tagged !!{wanted} but reads as {found}.")
        return scalars.normal(value)

    def _list(self, start: Any) -> list[Any]:
        if start.tag not in _NO_TAG and start.tag != _TAG_SEQ:
            raise self._fault(start, "A YAML tag that is no type of JSON is not supported.")
        items: list[Any] = []
        get_event = self._events.get_event
        event = get_event()
        while type(event) is not yaml.SequenceEndEvent:
            items.append(self._value(event))
            event = get_event()
        return items

    def _mapping(self, start: Any) -> dict[str, Any]:
        if start.tag not in _NO_TAG and start.tag != _TAG_MAP:
            raise self._fault(start, "A YAML tag that is no type of JSON is not supported.")
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        get_event = self._events.get_event
        event = get_event()
        while type(event) is not yaml.MappingEndEvent:
            key = self._key(event)
            value = self._value(get_event())
            if key is _MERGE:
                self._merge(event, value, own=own, merged=merged)
            elif key in own:
                raise self._fault(event, "A key stands twice in one mapping.")
            else:
                own[key] = value
            event = get_event()
        return {**merged, **own} if merged else own

    def _key(self, event: Any) -> Any:
        if type(event) is not yaml.ScalarEvent:
            raise self._fault(event, "A key is a list, a mapping or an alias; only text can be.")
        text: str = event.value
        self._size += len(text)
        if event.anchor:
            self._anchors[event.anchor] = (self._scalar(event), len(text))
        if event.implicit[0] and event.tag in _NO_TAG:
            if text == "<<":
                return _MERGE
            key = scalars.key(text)
        elif event.tag == _TAG_MERGE:
            return _MERGE
        elif event.tag in _NO_TAG or event.tag == _TAG_STR:
            return text
        else:
            raise self._fault(event, "A key with a YAML tag is not supported; put it in quotes.")
        if key is None:
            raise self._fault(event, "A key is null; put it in quotes if it is a word.")
        return key

    def _merge(
        self, event: Any, value: Any, *, own: dict[str, Any], merged: dict[str, Any]
    ) -> None:
        """Merge like YAML 1.1: own keys win, and of several mappings the first.

        go-yaml v2 lets a merge override the keys that stand *before* it, against YAML's rule:
        where the two differ the file has two readings, and none is taken.
        """
        sources = value if isinstance(value, list) else [value]
        found: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, dict):
                raise self._fault(event, "The merge key << wants a mapping or a list of mappings.")
            found.update(source)
        if own.keys() & found.keys():
            raise self._fault(
                event, "The merge key << sets a key that stands before it; put << first."
            )
        merged.update(found)

    def _alias(self, event: Any) -> Any:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise self._fault(event, "An alias has no anchor that is complete before it.")
        value, size = known
        self._size += size
        self._alias_bytes += size
        if self._alias_bytes > MAX_ALIAS_BYTES:
            raise self._fault(event, f"Aliases add more than {MAX_ALIAS_BYTES} bytes to the file.")
        # Its own copy: whoever changes one object must not change another.
        return _copy(value)

    def _fault(self, event: Any, sentence: str) -> errors.UnreadableFile:
        return errors.UnreadableFile(self._file, event.start_mark.line + 1, sentence)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
