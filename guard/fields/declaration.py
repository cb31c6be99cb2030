"""What a source declares of an object, and what is expected of it, from the answer to an apply.

The API server computes the declared set: our entry in the managed fields of its answer. Nothing is
loaded of its OpenAPI schema. The manifest is walked beside it, because a path that was sent and is
not booked would go unguarded.
"""

import dataclasses
from typing import Any, Final

from guard.api import keys, objects
from guard.api.verdicts import ChangeKind
from guard.fields import changes, errors, fieldset, managed, manifest, normal, paths, values
from guard.fields.fieldset import Leaf
from guard.fields.values import MISSING


@dataclasses.dataclass(frozen=True, slots=True)
class Declaration:
    """The declared set, the right values of it, and what another webhook made of what we sent.

    In ``mutated``, ``old`` is what was sent and ``new`` what the server stores.
    """

    declared: fieldset.FieldSet
    expected: objects.RawObject
    mutated: tuple[changes.Change, ...]


_IDENTITY: Final = frozenset({"apiVersion", "kind", "status"})
_METADATA_NOT_BOOKED: Final = manifest.READ_ONLY_METADATA | {"name", "namespace", "generateName"}

_FREE_TEXT: Final = frozenset(
    {"data", "binaryData", "stringData", "labels", "annotations", "matchLabels"}
)
"""Maps whose values a server takes as they are: it has no default for an empty one."""


def declare(*, sent: objects.RawObject, response: objects.RawObject, manager: str) -> Declaration:
    """Find what an apply of ``sent`` (see ``manifest.sendable``) declared.

    ``response`` is the server's answer to it, whole, and ``manager`` the field manager that
    applied. Expected values are the server's: where they differ from the sent ones by more than
    normal form, another webhook has changed what we sent, and ``mutated`` says so.

    Raises NotBooked, which names the object and the path, if the answer does not book all that was
    sent, and UnreadableFields.
    """
    title = keys.ObjectKey.of(response).title
    booked = managed.entry(response, manager)
    if booked is None:
        message = f"{title}: the API server has booked nothing for {manager}."
        raise errors.NotBooked(message)
    walk = _Walk(title)
    declared = walk.node(booked, sent, response, ())
    return Declaration(
        declared=declared,
        expected=values.project(response, declared),
        mutated=tuple(sorted(walk.mutated, key=lambda change: paths.order(change.path))),
    )


class _Walk:
    """One walk down the booked set, the sent and the stored object, side by side."""

    def __init__(self, title: str) -> None:
        self._title = title
        self.mutated: list[changes.Change] = []

    def node(
        self, booked: fieldset.FieldSet, sent: Any, stored: Any, path: paths.Path
    ) -> fieldset.FieldSet:
        """Give the declared set beneath one node, with the kinds of its leaves."""
        if not booked.steps:
            return self._leaf(booked, sent, stored, path)
        self._require_booked(booked, sent, path)
        stored_items = values.Items(stored) if isinstance(stored, list) else None
        children: dict[paths.Step, fieldset.FieldSet] = {}
        for step, child in zip(booked.steps, booked.subsets, strict=True):
            if isinstance(step, paths.Field) or stored_items is None:
                inside = values.step_into(stored, step)
            else:
                inside = next(iter(stored_items.get(step)), MISSING)
            children[step] = self.node(child, _sent_at(sent, step), inside, (*path, step))
        return fieldset.FieldSet.node(children, member=booked.member)

    def _leaf(
        self, booked: fieldset.FieldSet, sent: Any, stored: Any, path: paths.Path
    ) -> fieldset.FieldSet:
        if not booked.member or sent is MISSING:
            return booked
        leaf = Leaf.VALUE
        if stored is MISSING and normal.is_empty(sent):
            leaf = Leaf.ABSENT
        elif sent == {} and stored == {}:
            leaf = Leaf.EMPTY
        elif sent == {} and isinstance(stored, dict):
            leaf = Leaf.PRESENCE
        elif not normal.same_value(sent, stored) and not _is_completed(sent, stored, path):
            self.mutated.append(changes.Change(path, ChangeKind.MUTATED, sent, stored))
        return fieldset.FieldSet.node({}, member=True, leaf=leaf)

    def _require_booked(self, booked: fieldset.FieldSet, sent: Any, path: paths.Path) -> None:
        """Check that every part of what was sent has its place in the booked set."""
        if isinstance(sent, dict):
            for name, value in sent.items():
                step = paths.Field(name)
                if booked.child(step) is None and not _says_nothing(path, name, value):
                    raise self._not_booked((*path, step))
        elif isinstance(sent, list):
            named = {id(item) for step in booked.steps for item in _matches(sent, step)}
            for index, item in enumerate(sent):
                if id(item) not in named:
                    raise self._not_booked((*path, paths.Index(index)))

    def _not_booked(self, path: paths.Path) -> errors.NotBooked:
        message = (
            f"{self._title}: the API server has not booked {paths.readable(path)}, "
            "which the manifest holds; it could not be guarded."
        )
        return errors.NotBooked(message)


def _says_nothing(path: paths.Path, name: str, value: Any) -> bool:
    """Say whether a sent field needs no place in the booked set: the short known list."""
    if value is None or value == []:
        return True  # of keyed lists and sets, servers do not book an empty one
    if not path:
        is_metadata = name == "metadata" and isinstance(value, dict)
        return name in _IDENTITY or (is_metadata and value.keys() <= _METADATA_NOT_BOOKED)
    if path == (paths.Field("metadata"),):
        return name in _METADATA_NOT_BOOKED
    step = path[-1]
    return isinstance(step, paths.Key) and name in step.names


def _is_completed(sent: Any, stored: Any, path: paths.Path) -> bool:
    """Say whether the server filled a field that was sent empty (clusterIP, dnsPolicy, ...)."""
    match path:
        case (*_, above, last) if sent == "" and isinstance(stored, str):
            in_free_map = isinstance(above, paths.Field) and above.name in _FREE_TEXT
            return not in_free_map and last != paths.Field("value")
    return False


def _sent_at(sent: Any, step: paths.Step) -> Any:
    if isinstance(step, paths.Field):
        return values.step_into(sent, step)
    return next(iter(_matches(sent, step)), MISSING)


def _matches(sent: Any, step: paths.Step) -> list[Any]:
    """Give the sent item that a step names.

    A sent item may leave out key fields that the schema defaults; such a one is taken only where
    none names the key in full.
    """
    if not isinstance(sent, list):
        return []
    index = paths.find(sent, step)
    if index is not None:
        return [sent[index]]
    if isinstance(step, paths.Key):
        for item in sent:
            if isinstance(item, dict) and all(
                name not in item or normal.equal(item[name], value) for name, value in step.items
            ):
                return [item]
    return []
