"""Limits on a document: on its text before it is parsed, on its shape before validation, in time linear in it.

Every definition is walked once into a ``_Shape``; fragments are then folded into their users, innermost first, so that
a fan-out of 2^n fragments costs n additions. A fragment that reaches itself counts as empty: validation refuses it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from lakefront.errors import OperationRefused
from lakefront.graphql.plan.tokens import Counts, count
from lakefront.settings import Settings

INTROSPECTION_DEPTH: Final = 15
"""What the customary introspection query needs: 5 levels down to a type and 9 times ``ofType``, with a leaf."""

INTROSPECTION_LISTS: Final = 2
"""Lists within lists (``types { fields { … } }``); each further one multiplies the answer by some twenty."""

MAX_SPREADS: Final = 500
"""Uses of fragments, those within fragments counted each time: pages of many components need a hundred."""

_INTROSPECTION: Final = frozenset({"__schema", "__type"})
_LISTS: Final = frozenset({"types", "fields", "interfaces", "possibleTypes", "inputFields"})


@dataclass(slots=True)
class _Spread:
    """A fragment used at some depth, outside introspection or within it."""

    name: str
    depth: int
    inside: bool
    lists: int


@dataclass(slots=True)
class _Shape:
    """What a definition amounts to; after folding, with its fragments spread. Depths are counted from the definition.

    ``depth`` counts fields outside introspection; ``meta_*`` are for ``__schema`` and ``__type``. A fragment does not
    know where it is used, so ``inner_*`` keep its shape for a use within introspection.
    """

    fields: int = 0
    aliases: int = 0
    used: int = 0
    depth: int = 0
    meta_depth: int = 0
    meta_lists: int = 0
    meta_aliases: int = 0
    inner_depth: int = 0
    inner_lists: int = 0
    spreads: list[_Spread] = field(default_factory=list)

    def add(self, spread: _Spread, other: "_Shape") -> None:
        """Fold the fragment ``other``, used at ``spread``, into this shape."""
        self.fields += other.fields
        self.aliases += other.aliases
        self.used += 1 + other.used
        self.inner_depth = max(self.inner_depth, spread.depth + other.inner_depth)
        self.inner_lists = max(self.inner_lists, spread.lists + other.inner_lists)
        if spread.inside:
            self.meta_depth = max(self.meta_depth, spread.depth + other.inner_depth)
            self.meta_lists = max(self.meta_lists, spread.lists + other.inner_lists)
            self.meta_aliases += other.aliases
        else:
            self.depth = max(self.depth, spread.depth + other.depth)
            self.meta_depth = max(self.meta_depth, other.meta_depth)
            self.meta_lists = max(self.meta_lists, other.meta_lists)
            self.meta_aliases += other.meta_aliases


def check_text(text: str, settings: Settings) -> Counts:
    """What the text has, if that is little enough to be parsed; raises ``OperationRefused`` naming the limit."""
    # A character is at least a byte, so the long ones need no encoding to be refused.
    limit = settings.graphql_max_document
    if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
        raise OperationRefused(f"The document is longer than {limit} bytes. Ask for less at once.")
    tokens = settings.graphql_max_tokens
    counts = count(text, 2 * tokens)
    _refuse("tokens", counts.tokens, tokens)
    _refuse("comments", counts.comments, tokens)
    _refuse("directives", counts.directives, settings.graphql_max_directives)
    return counts


def check_limits(document: DocumentNode, settings: Settings) -> None:
    """Pass if all definitions stay within ``settings.graphql_max_*``; raises ``OperationRefused`` naming the limit."""
    definitions = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    operations = sum(isinstance(node, OperationDefinitionNode) for node in definitions)
    _refuse("operations", operations, settings.graphql_max_operations)
    fragments = {
        node.name.value: _shape(node.selection_set) for node in definitions if isinstance(node, FragmentDefinitionNode)
    }
    _fold(fragments)
    for shape in fragments.values():
        _check_size(shape, settings)
    for node in definitions:
        if isinstance(node, OperationDefinitionNode):
            shape = _shape(node.selection_set)
            for spread in shape.spreads:
                shape.add(spread, fragments.get(spread.name, _Shape()))
            _check(shape, settings)


def _check_size(shape: _Shape, settings: Settings) -> None:
    _refuse("fields (with fragments spread)", shape.fields, settings.graphql_max_fields)
    _refuse("aliases (with fragments spread)", shape.aliases, settings.graphql_max_aliases)
    _refuse("uses of fragments", shape.used, MAX_SPREADS)


def _check(shape: _Shape, settings: Settings) -> None:
    _check_size(shape, settings)
    _refuse("levels of fields", shape.depth, settings.graphql_max_depth)
    _refuse("levels of introspection", shape.meta_depth, INTROSPECTION_DEPTH)
    _refuse("lists within lists of introspection", shape.meta_lists, INTROSPECTION_LISTS)
    _refuse("aliases within introspection", shape.meta_aliases, 0)


def _refuse(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise OperationRefused(f"The document has more {what} than the {limit} allowed. Ask for less at once.")


def _shape(selection_set: SelectionSetNode) -> _Shape:
    """One definition by itself, its spreads noted and not followed."""
    shape = _Shape()
    for node, depth, inside, meta, lists in _walk(selection_set):
        if isinstance(node, FragmentSpreadNode):
            shape.spreads.append(_Spread(node.name.value, meta if inside else depth, inside, lists))
            continue
        shape.fields += 1
        shape.aliases += node.alias is not None
        shape.inner_depth = max(shape.inner_depth, depth)
        shape.inner_lists = max(shape.inner_lists, lists)
        if inside:
            shape.meta_depth = max(shape.meta_depth, meta)
            shape.meta_lists = max(shape.meta_lists, lists)
            shape.meta_aliases += node.alias is not None
        else:
            shape.depth = max(shape.depth, depth)
    return shape


def _walk(root: SelectionSetNode) -> Iterator[tuple[FieldNode | FragmentSpreadNode, int, bool, int, int]]:
    """Fields and spreads below ``root``: (node, depth, within introspection, depth there, lists around and at it)."""
    todo = [(root, 0, False, 0, 0)]
    while todo:
        selection_set, depth, inside, meta, lists = todo.pop()
        for node in selection_set.selections:
            if isinstance(node, InlineFragmentNode):
                todo.append((node.selection_set, depth, inside, meta, lists))
            elif isinstance(node, FieldNode):
                name = node.name.value
                within = inside or name in _INTROSPECTION
                below = (depth + 1, within, meta + within, lists + (name in _LISTS))
                yield (node, *below)
                if node.selection_set:
                    todo.append((node.selection_set, *below))
            elif isinstance(node, FragmentSpreadNode):
                yield node, depth, inside, meta, lists


def _fold(fragments: dict[str, _Shape]) -> None:
    """Spread fragments into fragments, the innermost first, without recursion: chains may be a thousand long."""
    entered: set[str] = set()
    folded: set[str] = set()
    for root, shape in fragments.items():
        path = [] if root in entered else [(root, iter(shape.spreads))]
        entered.add(root)
        while path:
            name, spreads = path[-1]
            following = next((s.name for s in spreads if s.name in fragments and s.name not in entered), None)
            if following is not None:
                entered.add(following)
                path.append((following, iter(fragments[following].spreads)))
                continue
            path.pop()
            for spread in fragments[name].spreads:
                if spread.name in folded:
                    fragments[name].add(spread, fragments[spread.name])
            folded.add(name)
