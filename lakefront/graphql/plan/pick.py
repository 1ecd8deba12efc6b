"""From what is selected to what SQL can answer: one walk over the declarations, or the reason why not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from typing import Any, Final

import strawberry
from graphql import GraphQLField, GraphQLObjectType, get_named_type
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.scalars import JSON
from strawberry.types.base import StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from lakefront.db.query import Key
from lakefront.graphql.declare.arguments import page_request
from lakefront.graphql.declare.cursors import read_node_id
from lakefront.graphql.declare.declarations import (
    Column,
    Computed,
    Connected,
    Declaration,
    Embedded,
    Found,
    Grouped,
    Identity,
    Listed,
    Named,
    Whole,
)
from lakefront.graphql.declare.grouping import group_request
from lakefront.graphql.declare.keys import read_key
from lakefront.graphql.declare.record import Record, declared, is_list, join_of, needed, record_of, unwrapped
from lakefront.graphql.declare.words import node_type
from lakefront.graphql.plan.coerce import Arguments
from lakefront.graphql.plan.mixed import ROW, Step
from lakefront.graphql.plan.parts import (
    Ask,
    Edges,
    Fields,
    Groups,
    Info,
    Inner,
    Later,
    Linked,
    Node,
    Nodes,
    One,
    Opaque,
    Pages,
    Part,
    Related,
    Scalar,
    Total,
    Typename,
)
from lakefront.graphql.plan.selection import Selected, Selections
from lakefront.graphql.scalars import BigInt

LONGEST_NAME: Final = 63
"""Bytes that PostgreSQL keeps of a name: a response name is the name of a column of the answer."""

MOST_PAIRS: Final = 50
"""Names of an object that ``json_build_object`` makes: a function has at most 100 arguments."""

PYTHON: Final = "it is resolved in Python"

_LEAVES: Final = (str, strawberry.ID, int, BigInt, float, bool, datetime, date, JSON)


class NotCompiled(Exception):
    """A field cannot be SQL, because of ``reason``; it is at ``path`` of the answer, where that is known."""

    def __init__(self, reason: str, path: Sequence[str] = ()) -> None:
        self.reason = reason
        self.path = tuple(path)
        super().__init__(reason)


class Picker:
    """Makes parts of one operation's selections; ``asks`` collects the arguments that they take."""

    def __init__(self, selections: Selections, allowed: Callable[[str, str], bool]) -> None:
        """``allowed`` tells of (type name, field name) whether the actor may see it."""
        self._selections = selections
        self._allowed = allowed
        self.asks: list[Ask] = []
        self.steps: list[Step] = []
        """The objects with fields that are left to Python."""
        self.fields = 0
        """How many fields were picked."""
        self.path: list[str] = []
        """The response names down to what is picked; to what could not be, after ``NotCompiled``."""

    def root(self, cls: type, type_: GraphQLObjectType, key: str, details: FieldDetailsList) -> Part:
        """The part of a root field, of whose type ``cls`` is the Strawberry class; raises ``NotCompiled``."""
        self.path = [key]
        name = _checked(key, details)
        if name == "__typename":
            return Typename(type_.name)
        if name not in declared(cls):
            raise NotCompiled(PYTHON)
        field, declaration = declared(cls)[name]
        if isinstance(declaration, Named):
            return self._node(type_.fields[name], details)
        if not isinstance(declaration, Connected | Found | Grouped):
            raise NotCompiled("no table is behind it")
        return self._part(field, declaration, type_.fields[name], details)

    def linked(
        self, record: type[Record], type_: GraphQLObjectType, path: Sequence[str], details: FieldDetailsList
    ) -> Linked:
        """The part of a field of ``record`` that leads to other rows, at ``path``, by a row that is elsewhere."""
        self.path = list(path)
        name = _checked(path[-1], details)
        field, declaration = declared(record)[name]
        self.asks.append(Later())
        part = self._part(field, declaration, type_.fields[name], details)
        if self.steps:
            self.path = list(self.steps[0][0])
        if self.steps or not isinstance(part, Related | Pages) or part.join is None:
            raise NotCompiled(PYTHON)
        return Linked(part.join, 0, part)

    @contextmanager
    def _at(self, key: str) -> Iterator[None]:
        self.fields += 1
        self.path.append(key)
        yield
        self.path.pop()

    def _fields(self, record: type[Record], type_: GraphQLObjectType, selected: Selected) -> Fields:
        """What SQL answers of a record's fields, and the columns that the others need."""
        fields: list[tuple[str, Part]] = []
        needs: dict[str, None] | None = None
        for key, details in selected.items():
            with self._at(key):
                name = _checked(key, details)
                if name == "__typename":
                    fields.append((key, Typename(type_.name)))
                    continue
                if not self._allowed(type_.name, name):
                    raise NotCompiled(f"the actor may not see {type_.name}.{name}")
                if name in declared(record):
                    fields.append((key, self._member(record, type_, name, details)))
                else:
                    needs = (needs or {}) | dict.fromkeys(needed(record, name))
        if needs is None:
            return tuple(fields)
        if len(needs) > MOST_PAIRS:
            raise NotCompiled(f"its Python fields need more than {MOST_PAIRS} columns")
        self.steps.append((tuple(self.path), record))
        return (*fields, (ROW, Inner(tuple((name, Scalar(name, None)) for name in needs))))

    def _member(self, record: type[Record], type_: GraphQLObjectType, name: str, details: FieldDetailsList) -> Part:
        field, declaration = declared(record)[name]
        if isinstance(declaration, Identity):
            return Opaque(record.record_source)
        return self._part(field, declaration, type_.fields[name], details)

    def _part(
        self, field: StrawberryField, declaration: Declaration, definition: GraphQLField, details: FieldDetailsList
    ) -> Part:
        type_ = _object_type(definition.type)
        below = partial(self._selections.below, type_, details)
        part: Part
        match declaration:
            case Column():
                part = self._column(field, declaration, type_)
            case Whole():
                part = Inner(self._fields(unwrapped(field.type), type_, _few(below())))
            case Embedded():
                part = self._embedded(field, type_, _few(below()))
            case Listed():
                part = self._related(field, declaration, type_, below())
            case Connected():
                part = self._pages(field, declaration, definition, details)
            case Found(arguments):
                record = record_of(field)
                ask = self._ask(definition, details, partial(_key, record, [name for name, _ in arguments]))
                part = One(record.record_source, ask, self._fields(record, type_, below()))
            case Grouped(record):
                part = self._groups(unwrapped(field.type), record, definition, details)
            case _:
                raise NotCompiled(PYTHON)
        return part

    def _related(
        self, field: StrawberryField, declaration: Listed, type_: GraphQLObjectType, selected: Selected
    ) -> Related:
        many = is_list(field)
        if not many and not isinstance(field.type, StrawberryOptional):
            raise NotCompiled("it may not be null, but there may be no row")
        return Related(join_of(field, declaration), self._fields(record_of(field), type_, selected), many)

    def _node(self, definition: GraphQLField, details: FieldDetailsList) -> Node:
        path, steps = list(self.path), list(self.steps)
        ask = self._ask(definition, details, _named)
        found: dict[type[Record], Fields | str] = {}
        for type_ in self._selections.possible(_object_type(definition.type)):
            record = node_type(type_.name)
            if record is not None:
                try:
                    fields = self._fields(record, type_, self._selections.below(type_, details))
                    found[record] = fields if self.steps == steps else PYTHON
                except NotCompiled as failed:
                    found[record] = failed.reason
                self.path, self.steps = list(path), list(steps)
        return Node(ask, found)

    def _ask(
        self, definition: GraphQLField, details: FieldDetailsList, read: Callable[[Mapping[str, Any]], Any]
    ) -> int:
        self.asks.append(Ask(Arguments(definition, details[0].node), read, tuple(self.path)))
        return len(self.asks) - 1

    def _column(self, field: StrawberryField, declaration: Column, type_: Any) -> Part:
        if isinstance(type_, GraphQLObjectType):
            raise NotCompiled(f"a column of {type_.name} is no scalar")
        leaf = unwrapped(field.type)
        if leaf not in _LEAVES and not isinstance(leaf, StrawberryEnumDefinition):
            raise NotCompiled(f"values of {type_.name} have no text form in SQL")
        if is_list(field):
            raise NotCompiled("a list of scalars is in one column")
        # A column is NOT NULL in its table where its field is; what is computed only says so.
        sure = isinstance(declaration, Computed) and not isinstance(field.type, StrawberryOptional)
        return Scalar(declaration.name, leaf, sure)

    def _embedded(self, field: StrawberryField, type_: GraphQLObjectType, selected: Selected) -> Inner:
        if not isinstance(field.type, StrawberryOptional):
            raise NotCompiled("it may not be null, but all of its columns may")
        record = record_of(field)
        columns = [(part.name, inner) for inner, part in declared(record).values() if isinstance(part, Column)]
        required = tuple(name for name, inner in columns if not isinstance(inner.type, StrawberryOptional))
        return Inner(self._fields(record, type_, selected), tuple(name for name, _ in columns), required)

    def _pages(
        self, field: StrawberryField, declaration: Connected, definition: GraphQLField, details: FieldDetailsList
    ) -> Pages:
        record, type_ = record_of(field), _object_type(definition.type)
        join = join_of(field, declaration) if declaration.related else None
        ask = self._ask(definition, details, partial(page_request, record, around=declaration.around))
        selected = _few(self._selections.below(type_, details))
        members = []
        for key, found in selected.items():
            with self._at(key):
                members.append((key, self._of_page(record, type_, key, found)))
        return Pages(record.record_source, join, ask, tuple(members))

    def _of_page(
        self, record: type[Record], type_: GraphQLObjectType, key: str, details: FieldDetailsList
    ) -> Edges | Nodes | Info | Total | Typename:
        name = _checked(key, details)
        if name == "__typename":
            return Typename(type_.name)
        if name == "totalCount":
            return Total()
        inner = _object_type(type_.fields[name].type)
        selected = self._selections.below(inner, details)
        match name:
            case "nodes":
                return Nodes(self._fields(record, inner, selected))
            case "edges":
                return Edges(tuple(self._edge(record, inner, selected)))
            case "pageInfo":
                return Info(tuple((each, _checked(each, found)) for each, found in _few(selected).items()))
            case _:
                raise NotCompiled(PYTHON)

    def _edge(
        self, record: type[Record], type_: GraphQLObjectType, selected: Selected
    ) -> Iterator[tuple[str, Fields | Typename | None]]:
        for key, details in _few(selected).items():
            match _checked(key, details):
                case "__typename":
                    yield key, Typename(type_.name)
                case "cursor":
                    yield key, None
                case _:
                    node = _object_type(type_.fields["node"].type)
                    with self._at(key):
                        yield key, self._fields(record, node, self._selections.below(node, details))

    def _groups(self, cls: type, record: type[Record], definition: GraphQLField, details: FieldDetailsList) -> Groups:
        type_ = _object_type(definition.type)
        members: list[tuple[str, Fields | Typename | None]] = []
        wanted: list[list[str]] = []
        ask = self._ask(definition, details, partial(_group_request, record, wanted))
        for key, found in _few(self._selections.below(type_, details)).items():
            match _checked(key, found):
                case "__typename":
                    members.append((key, Typename(type_.name)))
                case "totalGroups":
                    members.append((key, None))
                case _:
                    inner = _object_type(type_.fields["groups"].type)
                    group = unwrapped(declared(cls)["groups"][0].type)
                    selected = self._selections.below(inner, found)
                    wanted.extend(self._measures(inner, selected))
                    with self._at(key):
                        members.append((key, self._fields(group, inner, selected)))
        return Groups(record.record_source, ask, tuple(members))

    def _measures(self, type_: GraphQLObjectType, selected: Selected) -> Iterator[list[str]]:
        for details in selected.values():
            name = details[0].node.name.value
            inner = _object_type(type_.fields[name].type) if name in type_.fields else None
            if isinstance(inner, GraphQLObjectType):
                for found in self._selections.below(inner, details).values():
                    yield [name, found[0].node.name.value]


def _object_type(type_: Any) -> Any:
    """The object type (or scalar, which nobody selects from) inside lists and non-nulls."""
    return get_named_type(type_)


def _checked(key: str, details: FieldDetailsList) -> str:
    """The field's name; raises ``NotCompiled`` for a response name that SQL would cut."""
    if len(key) > LONGEST_NAME:  # GraphQL's names are ASCII
        raise NotCompiled(f"its response name is longer than {LONGEST_NAME} characters")
    return details[0].node.name.value


def _few(selected: Selected) -> Selected:
    if len(selected) > MOST_PAIRS:
        raise NotCompiled(f"it has more than {MOST_PAIRS} fields")
    return selected


def _key(record: type[Record], names: list[str], values: Mapping[str, Any]) -> Key:
    key = read_key(record.record_source, [values[name] for name in names])
    if key is None:
        raise NotCompiled("there can be no row with this key")
    return key


def _named(values: Mapping[str, Any]) -> tuple[type[Record], Key]:
    name, raw = read_node_id(values["id"], "id")
    record = node_type(name)
    key = read_key(record.record_source, raw) if record is not None else None
    if record is None or key is None:
        raise NotCompiled("there can be no row with this id")
    return record, key


def _group_request(record: type[Record], wanted: list[list[str]], values: Mapping[str, Any]) -> Any:
    return group_request(record, values, wanted)
