"""Fields of one name in one place must be one field: the specification's "Field Selection Merging", in linear time.

graphql-core compares every pair of such fields, which a hundred components on one page make ten thousand of. Here what
is answered together is merged first, fragments spread, and each field is compared with one other of its name: the work
is bounded by the fields of the document with fragments spread, which ``limits`` has counted by then.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    ValueNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.validation.validate import ValidationAbortedError

BUDGET: Final = 10_000
"""Fields that are looked at in one document; types apart that share interfaces, each is looked at once."""


class _Field(NamedTuple):
    """A field, the type it is selected on, and its definition there; ``None`` for ``__typename`` and unknown ones."""

    node: FieldNode
    parent: Any
    definition: GraphQLField | None


_Selections = list[tuple[SelectionSetNode, GraphQLNamedType | None]]
"""Selection sets that are answered together, each with the type that it is on."""

_Differs = Callable[[_Field, _Field], str | None]
"""Why two fields of one name cannot be merged; ``None`` if they can."""


class FieldsMerge(ValidationRule):
    """Finds the conflicts that graphql-core's ``OverlappingFieldsCanBeMergedRule`` finds, one of each name and place.

    Fragments that no operation uses are left out: they are an error by themselves.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._left = BUDGET
        self._cyclic = False
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._arguments: dict[int, frozenset[Any]] = {}
        self._seen: set[tuple[bool, frozenset[tuple[int, int]]]] = set()

    def enter_document(self, node: DocumentNode, *_: Any) -> None:
        """Note the fragments; of those that form a cycle another rule tells, and this one would not come to an end."""
        fragments = [part for part in node.definitions if isinstance(part, FragmentDefinitionNode)]
        self._fragments = {fragment.name.value: fragment for fragment in fragments}
        self._cyclic = _is_cyclic(self._fragments)

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Check all that the operation selects."""
        if not self._cyclic:
            self._check([(node.selection_set, self.context.schema.get_root_type(node.operation))], (), alike=True)

    def _check(self, selections: _Selections, path: tuple[str, ...], *, alike: bool) -> None:
        """Fields of one name must be one field (``alike``), or else, being on different types, have one shape.

        ``path`` names the fields of which several were merged on the way here.
        """
        place = (alike, frozenset((id(node), id(parent)) for node, parent in selections))
        if place in self._seen:
            return
        self._seen.add(place)
        for name, fields in self._collect(selections).items():
            if len(fields) == 1:
                # The shape of what is below a single field is looked at where it is found alike.
                if alike:
                    self._check(_below(fields), (), alike=True)
                continue
            groups = list(_together(fields)) if alike else []
            for group in groups:
                if self._agree(group, (*path, name), self._different_field):
                    self._check(_below(group), (*path, name), alike=True)
            # Several uses of one field of one type return one type.
            if len(groups) != 1 and self._agree(fields, (*path, name), _different_shape):
                self._check(_below(fields), (*path, name), alike=False)

    def _collect(self, selections: _Selections) -> dict[str, list[_Field]]:
        """The fields of ``selections`` by their names in the answer, each fragment spread once."""
        found: dict[str, list[_Field]] = {}
        spread: set[str] = set()
        for selection_set, parent in selections:
            self._add(selection_set, parent, found, spread)
        return found

    def _add(
        self, selection_set: SelectionSetNode, parent: Any, found: dict[str, list[_Field]], spread: set[str]
    ) -> None:
        self._left -= len(selection_set.selections)
        if self._left < 0:
            raise ValidationAbortedError("Validation aborted.")
        for node in selection_set.selections:
            part: Any = node
            if isinstance(node, FieldNode):
                definition = getattr(parent, "fields", {}).get(node.name.value)
                found.setdefault((node.alias or node.name).value, []).append(_Field(node, parent, definition))
                continue
            if isinstance(node, FragmentSpreadNode):
                part = None if node.name.value in spread else self._fragments.get(node.name.value)
                spread.add(node.name.value)
            if part is not None:
                on = part.type_condition
                self._add(
                    part.selection_set, self.context.schema.get_type(on.name.value) if on else parent, found, spread
                )

    def _agree(self, fields: list[_Field], path: tuple[str, ...], differs: _Differs) -> bool:
        """Whether all are like the first; the first that is not is reported."""
        first, *others = fields
        for other in others:
            if reason := differs(first, other):
                told = " conflict because subfields ".join(f"'{name}'" for name in path)
                advice = "Use different aliases on the fields to fetch both if this was intentional."
                message = f"Fields {told} conflict because {reason}. {advice}"
                self.report_error(GraphQLError(message, [first.node, other.node]))
                return False
        return True

    def _different_field(self, one: _Field, other: _Field) -> str | None:
        names = one.node.name.value, other.node.name.value
        if names[0] != names[1]:
            return f"'{names[0]}' and '{names[1]}' are different fields"
        if self._arguments_of(one.node) != self._arguments_of(other.node):
            return "they have differing arguments"
        return None

    def _arguments_of(self, node: FieldNode) -> frozenset[Any]:
        known = self._arguments.get(id(node))
        if known is None:
            known = frozenset((argument.name.value, _written(argument.value)) for argument in node.arguments or ())
            self._arguments[id(node)] = known
        return known


def _below(fields: list[_Field]) -> _Selections:
    """What the fields select, to be merged."""
    return [
        (field.node.selection_set, get_named_type(field.definition.type) if field.definition else None)
        for field in fields
        if field.node.selection_set
    ]


def _together(fields: list[_Field]) -> Iterator[list[_Field]]:
    """The groups of ``fields`` that one object may answer: an object has one type, and any of its interfaces."""
    if all(field.parent is fields[0].parent for field in fields):
        yield fields
        return
    on_objects: dict[str, list[_Field]] = {}
    on_others = []
    for field in fields:
        if is_object_type(field.parent):
            on_objects.setdefault(field.parent.name, []).append(field)
        else:
            on_others.append(field)
    yield from ([*group, *on_others] for group in on_objects.values())
    if not on_objects:
        yield on_others


def _different_shape(one: _Field, other: _Field) -> str | None:
    if one.definition is None or other.definition is None:
        return None
    types = one.definition.type, other.definition.type
    return f"they return conflicting types '{types[0]}' and '{types[1]}'" if _conflicting(*types) else None


def _conflicting(one: Any, other: Any) -> bool:
    """Whether values of the two types look different, whatever they select."""
    while one is not other:
        if is_list_type(one) != is_list_type(other) or is_non_null_type(one) != is_non_null_type(other):
            return True
        if not is_list_type(one) and not is_non_null_type(one):
            return is_leaf_type(one) or is_leaf_type(other)
        one, other = one.of_type, other.of_type
    return False


def _written(value: ValueNode) -> Any:
    """The value as it is written, whatever the order of its members; hashable."""
    if isinstance(value, VariableNode):
        return "$", value.name.value
    if isinstance(value, ListValueNode):
        return "[", tuple(_written(item) for item in value.values)
    if isinstance(value, ObjectValueNode):
        return "{", frozenset((field.name.value, _written(field.value)) for field in value.fields)
    return value.kind, getattr(value, "value", None)


def _is_cyclic(fragments: dict[str, FragmentDefinitionNode]) -> bool:
    """Whether a fragment reaches itself: what is left when fragments without open spreads are taken away is cyclic."""
    users: dict[str, list[str]] = {name: [] for name in fragments}
    open_spreads = dict.fromkeys(fragments, 0)
    for name, fragment in fragments.items():
        for spread in _spreads(fragment.selection_set):
            if spread in users:
                users[spread].append(name)
                open_spreads[name] += 1
    done = [name for name, count in open_spreads.items() if not count]
    for name in done:
        for user in users[name]:
            open_spreads[user] -= 1
            if not open_spreads[user]:
                done.append(user)
    return len(done) < len(fragments)


def _spreads(root: SelectionSetNode) -> Iterator[str]:
    """The names of the fragments used anywhere below ``root``."""
    todo = [root]
    while todo:
        for node in todo.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                yield node.name.value
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                todo.append(node.selection_set)
