"""What an operation costs (L16, X5): a formula over its variables, made once for a plan (ADR 0022).

The cost is the sum over all fields of their weight, times the sizes of the lists around them. Fields count as they are
executed: fragments spread, every alias by itself, and what stands twice under one response name in one object once. Of
an interface's types all count, although an object is of one: the estimate is the most that it may be, as long as every
list is as long as it says, or was taken to be.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
)

from lakefront.errors import OperationRefused
from lakefront.graphql.plan.conditions import included
from lakefront.graphql.plan.sizes import Size, Sizes, sizes_of
from lakefront.graphql.weights import weight_of
from lakefront.settings import Settings

LONGEST_PATH: Final = 200
"""Characters of a path that a message shows: its names are the client's."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A field of the answer: ``weight`` each time it stands there, which is once for each item of its lists."""

    name: str
    weight: int
    sizes: tuple[Size, ...] = ()
    parts: tuple["Priced", ...] = ()


class FieldCost(NamedTuple):
    """A field with all that is in it."""

    path: str
    weight: int
    times: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What an operation costs at most with the variables of one request; ``formula`` tells where that comes from."""

    total: int
    formula: "Formula"
    variables: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The costliest path, as dotted response names; worked out when asked for."""
        return self.formula.costliest(self.variables)

    def fields(self, depth: int = 1) -> Iterator[FieldCost]:
        """The root fields, each with all that is in it; further levels down to ``depth`` follow their field."""
        return self.formula.fields(self.variables, depth)


class Formula:
    """The cost as a polynomial over the sizes that variables say; immutable, ``str`` shows it."""

    __slots__ = ("_sizes", "_terms", "parts")

    def __init__(self, parts: tuple[Priced, ...]) -> None:
        """``parts`` are the fields at the root of the answer."""
        self.parts = parts
        factors: dict[tuple[Size, ...], int] = {}
        _add_up(parts, 1, (), factors)
        self._sizes = tuple(dict.fromkeys(size for product in factors for size in product))
        index = {size: place for place, size in enumerate(self._sizes)}
        self._terms = tuple(
            (factor, tuple(index[size] for size in product)) for product, factor in factors.items() if factor
        )

    def estimate(self, variables: Mapping[str, Any]) -> Estimate:
        """The cost with ``variables`` (as coerced; JSON forms do as well): a few multiplications."""
        sizes = [size.of(variables) for size in self._sizes]
        total = 0
        for factor, places in self._terms:
            times = 1
            for place in places:
                times *= sizes[place]
            total += factor * times
        return Estimate(total, self, variables)

    def actual(self, data: Any) -> int:
        """The cost of an answer's ``data`` (JSON): every field counts as often as it stands there, null included."""
        return sum(_actual(self.parts, data)) if isinstance(data, dict) else 0

    def costliest(self, variables: Mapping[str, Any]) -> str:
        """The path to where most of the cost is, as dotted response names.

        From the costliest root field it goes on into the costliest field, as long as an object costs more than its
        owner with the values beside it; it ends at a value, a count say, that costs more than all of these.
        """
        path: list[str] = []
        parts, times, own = self.parts, 1, 0
        while parts:
            costs = [(_total(part, variables, times), part) for part in parts]
            values = own + sum(cost for cost, part in costs if not part.parts)
            cost, part = max(costs, key=lambda found: found[0])
            if path and cost <= (values if part.parts else values - cost):
                break
            path.append(part.name)
            times *= _product(part.sizes, variables)
            parts, own = part.parts, part.weight * times
        return ".".join(path)

    def fields(self, variables: Mapping[str, Any], depth: int = 1) -> Iterator[FieldCost]:
        """The fields down to ``depth`` levels, each before those in it."""
        return _fields(self.parts, variables, depth)

    def __str__(self) -> str:
        terms = [
            f"{factor:,}{''.join(f' × {self._sizes[place]}' for place in places)}"  # noqa: RUF001 - the sign of a product
            for factor, places in sorted(self._terms, key=lambda term: (len(term[1]), term[1]))
        ]
        return " + ".join(terms) or "0"

    def __repr__(self) -> str:
        return f"<Formula {self}>"


def formula(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    *,
    conditions: Mapping[str, bool],
) -> Formula:
    """What the (valid) operation costs; ``conditions`` are the variables that ``@skip`` and ``@include`` go by.

    A field whose condition is not known counts. The work is linear in the fields with fragments spread, which
    ``graphql_max_fields`` bounds; a fragment within itself counts once.
    """
    root = schema.get_root_type(operation.operation)
    assert root is not None, "a valid operation has a root type"
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    walk = _Walk(schema, operation, fragments, conditions)
    return Formula(walk.parts([_Selection(root, operation.selection_set)], None))


def check_cost(estimate: Estimate, settings: Settings) -> None:
    """Pass if the operation may run; raises ``OperationRefused`` with its cost, the limit and the costliest path."""
    limit = settings.graphql_max_cost
    if estimate.total <= limit:
        return
    path = estimate.path[:LONGEST_PATH]
    message = (
        f"The operation costs up to {estimate.total:,}, more than the {limit:,} allowed; most of it at '{path}'. "
        "Ask for fewer rows (first, last) or fields there; estimateCost tells what a document costs."
    )
    told = {"field": path, "message": "costs most", "cost": estimate.total, "limit": limit}
    raise OperationRefused(message, details=[told])


@dataclass(frozen=True, slots=True)
class _Selection:
    """What is selected of an object of ``type``; ``inside`` are the fragments that lead there."""

    type: Any
    selections: SelectionSetNode
    inside: frozenset[str] = frozenset()


class _Like(NamedTuple):
    """What fields of one response name must share to be one field of the answer."""

    name: str
    weight: int
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class _Walk:
    """One operation, walked as it is executed: an object's selections together, whichever fragments hold them."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    conditions: Mapping[str, bool]

    def parts(self, selections: list[_Selection], around: Size | None) -> tuple[Priced, ...]:
        """The fields of an object; ``around`` is the size of the lists in it, if it is a connection."""
        found: dict[_Like, list[_Selection]] = {}
        for selection, node in self._nodes(selections):
            like, below = self._field(selection, node, around)
            found.setdefault(like, []).extend(below)
        return tuple(
            Priced(like.name, like.weight, like.sizes.own, self.parts(below, like.sizes.below))
            for like, below in found.items()
        )

    def _nodes(self, selections: list[_Selection]) -> Iterator[tuple[_Selection, FieldNode]]:
        """The fields that are selected, each with the selection that holds it; a fragment but once."""
        spread: set[str] = set()
        todo = selections[::-1]
        while todo:
            selection = todo.pop()
            further: list[_Selection] = []
            for node in selection.selections.selections:
                if not included(node, self.conditions):
                    continue
                if isinstance(node, FieldNode):
                    yield selection, node
                elif isinstance(node, InlineFragmentNode):
                    on = node.type_condition
                    type_ = self.schema.type_map[on.name.value] if on else selection.type
                    further.append(_Selection(type_, node.selection_set, selection.inside))
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread | selection.inside:
                    spread.add(name := node.name.value)
                    fragment = self.fragments[name]
                    type_ = self.schema.type_map[fragment.type_condition.name.value]
                    further.append(_Selection(type_, fragment.selection_set, selection.inside | {name}))
            todo += further[::-1]

    def _field(self, selection: _Selection, node: FieldNode, around: Size | None) -> tuple[_Like, list[_Selection]]:
        response, name = (node.alias or node.name).value, node.name.value
        field: GraphQLField | None = self.schema.get_field(selection.type, name)
        if field is None or name == "__typename":
            return _Like(response, 0, Sizes()), []
        weight = weight_of(self.schema, selection.type, name, field)
        if name.startswith("__"):
            # The schema is as large as it is: its weight holds for whatever is asked of it.
            return _Like(response, weight, Sizes()), []
        sizes = sizes_of(self.operation, node, field, around)
        type_ = get_named_type(field.type)
        if node.selection_set is None or is_leaf_type(type_):
            return _Like(response, weight, sizes), []
        return _Like(response, weight, sizes), [_Selection(type_, node.selection_set, selection.inside)]


def _add_up(
    parts: tuple[Priced, ...], factor: int, product: tuple[Size, ...], factors: dict[tuple[Size, ...], int]
) -> None:
    """Sum up in ``factors`` what the parts cost, by the product of those sizes that depend on variables."""
    for part in parts:
        inner, around = factor, product
        for size in part.sizes:
            if size.variables:
                around = tuple(sorted((*around, size), key=repr))
            else:
                inner *= size.of({})
        factors[around] = factors.get(around, 0) + inner * part.weight
        _add_up(part.parts, inner, around, factors)


def _product(sizes: tuple[Size, ...], variables: Mapping[str, Any]) -> int:
    product = 1
    for size in sizes:
        product *= size.of(variables)
    return product


def _total(part: Priced, variables: Mapping[str, Any], times: int) -> int:
    """What the part costs with all that is in it, ``times`` being how often its object stands there."""
    times *= _product(part.sizes, variables)
    return part.weight * times + sum(_total(inner, variables, times) for inner in part.parts)


def _fields(
    parts: tuple[Priced, ...], variables: Mapping[str, Any], depth: int, prefix: str = "", times: int = 1
) -> Iterator[FieldCost]:
    for part in parts:
        path, own = f"{prefix}{part.name}", times * _product(part.sizes, variables)
        yield FieldCost(path, part.weight, own, _total(part, variables, times))
        if depth > 1:
            yield from _fields(part.parts, variables, depth - 1, f"{path}.", own)


def _actual(parts: tuple[Priced, ...], data: dict[str, Any]) -> Iterator[int]:
    """What each field of an object cost. Where the object's types differ in one, the dearer counts."""
    costs: dict[str, int] = {}
    for part in parts:
        if part.name in data:
            cost = _stands(part, data[part.name])
            costs[part.name] = max(cost, costs.get(part.name, 0))
    return iter(costs.values())


def _stands(part: Priced, value: Any) -> int:
    if part.sizes and isinstance(value, list):
        return sum(_stands(part, item) for item in value)
    if part.parts and isinstance(value, dict):
        return part.weight + sum(_actual(part.parts, value))
    return part.weight
