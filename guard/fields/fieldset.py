"""Sets of field paths: what managed fields book for a writer, and what a source declares."""

import enum
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Self

from guard.fields import errors, paths


class Leaf(enum.Enum):
    """What a declared leaf says about the value at its path.

    The last three stand for a manifest that says only "empty". What controllers put inside an empty
    struct is theirs; but a map that the server treats as one value (``podSelector: {}``) is ours
    whole. Which of both it is, managed fields tell later: only of the first kind is anything booked
    beneath.
    """

    VALUE = enum.auto()
    """The value is declared, whole."""

    PRESENCE = enum.auto()
    """``{}`` was sent and the server filled it: only its removal counts."""

    EMPTY = enum.auto()
    """``{}`` was sent and is shown: removal counts, and content unless it is booked beneath."""

    ABSENT = enum.auto()
    """An empty was sent and the server omits it: content counts unless it is booked beneath."""


# Our own addition to fieldsV1, in the inventory only (docs/decisions): a leaf that says "empty".
_MARKS: Final[Mapping[Leaf, str]] = {Leaf.PRESENCE: "p:", Leaf.EMPTY: "e:", Leaf.ABSENT: "a:"}
_LEAVES: Final[Mapping[str, Leaf]] = {text: leaf for leaf, text in _MARKS.items()}
_SELF: Final = "."


class FieldSet:
    """An immutable set of paths, as a tree. Equal sets, and equal parts of sets, are one object.

    A member without members beneath it is a leaf. Thousands of objects of one shape declare the
    same set, or nearly; sharing keeps the sets of 10,000 objects to a few megabytes. Make one by
    ``from_v1`` or ``of``, never by the class.
    """

    __slots__ = ("__weakref__", "_hash", "leaf", "member", "steps", "subsets")

    _known: ClassVar[weakref.WeakValueDictionary[Any, "FieldSet"]] = weakref.WeakValueDictionary()

    member: bool
    """Whether the path of this node itself belongs to the set."""
    leaf: Leaf
    """What it says when nothing is beneath it; VALUE otherwise."""
    steps: tuple[paths.Step, ...]
    """The steps beneath, sorted as ``paths.format_step`` writes them."""
    subsets: tuple["FieldSet", ...]
    """What is beneath each of ``steps``."""
    _hash: int

    @classmethod
    def node(
        cls,
        children: Mapping[paths.Step, "FieldSet"],
        *,
        member: bool,
        leaf: Leaf = Leaf.VALUE,
    ) -> Self:
        """Give the one node with these children; empty children are left out."""
        kept = sorted(
            ((step, child) for step, child in children.items() if child),
            key=lambda pair: paths.format_step(pair[0]),
        )
        steps = tuple(step for step, _ in kept)
        subsets = tuple(child for _, child in kept)
        key = (member, Leaf.VALUE if steps or not member else leaf, steps, subsets)
        found = cls._known.get(key)
        if isinstance(found, cls):
            return found
        made = cls()
        made.member, made.leaf, made.steps, made.subsets = key
        made._hash = hash(key)
        cls._known[key] = made
        return made

    @classmethod
    def of(cls, leaves: Iterable[tuple[paths.Path, Leaf]]) -> Self:
        """Build a set from its leaves."""
        tree: dict[Any, Any] = {}
        for path, leaf in leaves:
            node = tree
            for step in path:
                node = node.setdefault(step, {})
            node[_SELF] = leaf
        return cls._of_tree(tree)

    @classmethod
    def _of_tree(cls, tree: dict[Any, Any]) -> Self:
        leaf = tree.get(_SELF)
        children = {step: cls._of_tree(sub) for step, sub in tree.items() if step != _SELF}
        return cls.node(children, member=leaf is not None, leaf=leaf or Leaf.VALUE)

    @classmethod
    def from_v1(cls, fields: Any) -> Self:
        """Read the fieldsV1 of a managed-fields entry, or what ``to_v1`` wrote.

        Raises UnreadableFields if it is not in that form.
        """
        if not isinstance(fields, dict):
            message = "The managed fields are no map of fields."
            raise errors.UnreadableFields(message)
        try:
            return cls._from_v1(fields, member=False)
        except RecursionError as error:
            message = "The managed fields are nested too deeply to be read."
            raise errors.UnreadableFields(message) from error

    @classmethod
    def _from_v1(cls, fields: dict[str, Any], *, member: bool) -> Self:
        children: dict[paths.Step, FieldSet] = {}
        leaf = Leaf.VALUE
        for text, inside in fields.items():
            if text == _SELF:
                member = True
            elif text in _LEAVES:
                member, leaf = True, _LEAVES[text]
            elif isinstance(inside, dict):
                children[paths.parse_step(text)] = cls._from_v1(inside, member=not inside)
            else:
                message = "The managed fields hold something that is no map of fields."
                raise errors.UnreadableFields(message)
        return cls.node(children, member=member, leaf=leaf)

    def to_v1(self) -> dict[str, Any]:
        """Write the set as fieldsV1, with ``Leaf`` marked: ``{"f:strategy": {"p:": {}}}``."""
        written: dict[str, Any] = {}
        if self.member and self.steps:
            written[_SELF] = {}
        if self.leaf in _MARKS:
            written[_MARKS[self.leaf]] = {}
        for step, child in zip(self.steps, self.subsets, strict=True):
            written[paths.format_step(step)] = child.to_v1()
        return written

    def leaves(self) -> Iterator[tuple[paths.Path, Leaf]]:
        """Give each leaf with its path, in the order of ``paths.order``."""
        if self.member and not self.steps:
            yield (), self.leaf
        for step, child in zip(self.steps, self.subsets, strict=True):
            for path, leaf in child.leaves():
                yield (step, *path), leaf

    def child(self, step: paths.Step) -> "FieldSet | None":
        """Give what is beneath one step; None if nothing is."""
        try:
            return self.subsets[self.steps.index(step)]
        except ValueError:
            return None

    def union(self, other: "FieldSet") -> "FieldSet":
        """Give all paths of both. Where both have a leaf, one that says "empty" stays so."""
        if self is other or not other:
            return self
        if not self:
            return other
        children = dict(zip(self.steps, self.subsets, strict=True))
        for step, child in zip(other.steps, other.subsets, strict=True):
            mine = children.get(step)
            children[step] = child if mine is None else mine.union(child)
        return type(self).node(
            children,
            member=self.member or other.member,
            leaf=other.leaf if self.leaf is Leaf.VALUE else self.leaf,
        )

    def covers(self, path: paths.Path) -> bool:
        """Say whether a leaf of the set is this path or lies above it."""
        node: FieldSet | None = self
        for step in path:
            if node is None:
                return False
            if node.member and not node.steps:
                return True
            node = node.child(step)
        return node is not None and node.member and not node.steps

    def __contains__(self, path: paths.Path) -> bool:
        node: FieldSet = self
        for step in path:
            child = node.child(step)
            if child is None:
                return False
            node = child
        return node.member

    def __bool__(self) -> bool:
        return self.member or bool(self.steps)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, FieldSet):
            return NotImplemented
        return (
            self._hash == other._hash
            and self.member == other.member
            and self.leaf is other.leaf
            and self.steps == other.steps
            and self.subsets == other.subsets
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_v1, (self.to_v1(),)

    def __repr__(self) -> str:
        shown = ", ".join(paths.readable(path) for path, _ in self.leaves())
        return f"FieldSet({shown})"


EMPTY: Final = FieldSet.node({}, member=False)
"""The set of no path."""
