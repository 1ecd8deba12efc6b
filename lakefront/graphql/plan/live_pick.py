"""From what a subscription selects of its payload to what tells it without resolvers, or the reason why not."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, Final

import orjson
from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType, Undefined
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from lakefront.graphql.declare.declarations import Column, Connected, Declaration, Embedded, Identity, Listed, Whole
from lakefront.graphql.declare.record import Record, declaration_of, unwrapped
from lakefront.graphql.declare.resolvers import Ask, resolve
from lakefront.graphql.plan.live import Get, Known, Live, Read, Tell, Untold
from lakefront.graphql.plan.mixed import Mixed
from lakefront.graphql.plan.parts import Compiled
from lakefront.graphql.plan.pick import PYTHON, NotCompiled, Picker
from lakefront.graphql.plan.plan import Plan
from lakefront.graphql.plan.selection import Selections

_IN_ROW: Final = Column | Embedded | Identity | Whole

Place = tuple[tuple[str, ...], tuple[Get, ...] | None]
"""The response names down to an object, and what finds it in the payload: nothing, for one of a list."""


class LivePicker:
    """Compiles the selection of one subscription; ``reason`` and ``path`` are why and where that needs resolvers."""

    def __init__(
        self, selections: Selections, allowed: Callable[[str, str], bool], planned: Callable[[Compiled], Plan]
    ) -> None:
        """``allowed``: see ``Picker``; ``planned`` makes the plan of a statement."""
        self._selections = selections
        self._allowed = allowed
        self._planned = planned
        self._reads: list[Read] = []
        self.reason: str | None = None
        self.path: tuple[str, ...] = ()

    def pick(self, cls: type, type_: GraphQLObjectType, key: str, details: FieldDetailsList) -> Live | None:
        """The root field ``key`` of ``type_`` (Strawberry's is ``cls``); ``None`` where resolvers do all of it."""
        name = details[0].node.name.value
        field = _fields(cls).get(name)
        if field is None or not self._allowed(type_.name, name):
            self._leave(PYTHON, (key,))
            return None
        told = self._value(type_.fields[name].type, field, details, ((key,), ()))
        live = Live(told if self.reason is None else None, tuple(self._reads))
        return live if live.tell or live.reads else None

    def _leave(self, reason: str, path: tuple[str, ...]) -> None:
        if self.reason is None:
            self.reason, self.path = reason, path

    def _value(self, type_: Any, field: StrawberryField, details: FieldDetailsList, place: Place) -> Tell:
        """What tells a value of ``type_``, which is in memory."""
        if isinstance(type_, GraphQLNonNull):
            return partial(_sure, self._value(type_.of_type, field, details, place))
        if isinstance(type_, GraphQLList):
            return partial(_each, self._value(type_.of_type, field, details, (place[0], None)))
        if isinstance(type_, GraphQLObjectType):
            return self._object(unwrapped(field.type), type_, details, place)
        if hasattr(type_, "coerce_output_value"):
            return partial(_leaf, type_.coerce_output_value)
        self._leave(PYTHON, place[0])
        return _never

    def _object(self, cls: type, type_: GraphQLObjectType, details: FieldDetailsList, place: Place) -> Tell:
        members: list[tuple[str, Tell]] = []
        for key, found in self._selections.below(type_, details).items():
            try:
                members.append((key, self._member(cls, type_, found, (*place[0], key), place[1])))
            except NotCompiled as failed:
                self._leave(failed.reason, (*place[0], key))
        return partial(_members, tuple(members))

    def _member(
        self,
        cls: type,
        type_: GraphQLObjectType,
        details: FieldDetailsList,
        path: tuple[str, ...],
        find: tuple[Get, ...] | None,
    ) -> Tell:
        """What tells one field of an object; raises ``NotCompiled``."""
        name = details[0].node.name.value
        if name == "__typename":
            return partial(_constant, type_.name)
        if not self._allowed(type_.name, name):
            raise NotCompiled(f"the actor may not see {type_.name}.{name}")
        field = _fields(cls)[name]
        declaration = declaration_of(field)
        if isinstance(declaration, Listed | Connected) and issubclass(cls, Record):
            return partial(_known, self._read(cls, type_, path, details, find))
        get = _getter(field, declaration)
        below = None if find is None else (*find, get)
        return partial(_got, get, self._value(type_.fields[name].type, field, details, (path, below)))

    def _read(
        self,
        cls: type[Record],
        type_: GraphQLObjectType,
        path: tuple[str, ...],
        details: FieldDetailsList,
        find: tuple[Get, ...] | None,
    ) -> Read:
        if find is None:
            raise NotCompiled("it is related to the rows of a list in memory")
        picker = Picker(self._selections, self._allowed)
        try:
            part = picker.linked(cls, type_, path, details)
        except NotCompiled as failed:
            self._leave(failed.reason, tuple(picker.path))
            raise
        compiled = Compiled({path[-1]: part}, {}, tuple(picker.asks), Mixed(), picker.fields)
        read = Read(path, find, part.join, self._planned(compiled))
        self._reads.append(read)
        return read


def _fields(cls: type) -> dict[str, StrawberryField]:
    """The fields of a Strawberry type by their GraphQL names."""
    fields = get_object_definition(cls, strict=True).fields
    return {field.graphql_name or to_camel_case(field.python_name): field for field in fields}


def _getter(field: StrawberryField, declaration: Declaration | None) -> Get:
    """What reads a field that is in memory: an attribute, or of the row at hand; raises ``NotCompiled``."""
    if isinstance(declaration, Column):
        return partial(_column, declaration.name)
    if isinstance(declaration, _IN_ROW):
        return partial(_declared, declaration, field)
    if declaration is not None or field.base_resolver is not None or field.extensions:
        raise NotCompiled(PYTHON)
    return attrgetter(field.python_name)


def _column(name: str, source: Record) -> Any:
    return source.row.get(name)


def _declared(declaration: Declaration, field: StrawberryField, source: Record) -> Any:
    return resolve(declaration, Ask(field, source, None, {}))


def _constant(value: str, _source: Any, _known: Known) -> Any:
    return value


def _known(read: Read, _source: Any, known: Known) -> Any:
    text = known[read]
    return None if text is None else orjson.Fragment(text)


def _got(get: Get, tell: Tell, source: Any, known: Known) -> Any:
    return tell(get(source), known)


def _members(members: tuple[tuple[str, Tell], ...], source: Any, known: Known) -> Any:
    return None if source is None else {key: tell(source, known) for key, tell in members}


def _each(tell: Tell, values: Any, known: Known) -> Any:
    return None if values is None else [tell(value, known) for value in values]


def _leaf(coerce: Callable[[Any], Any], value: Any, _known: Known) -> Any:
    if value is None:
        return None
    found = coerce(value)
    if found is None or found is Undefined:
        raise Untold
    return found


def _sure(tell: Tell, value: Any, known: Known) -> Any:
    if value is None:
        raise Untold
    return tell(value, known)


def _never(_source: Any, _known: Known) -> Any:
    raise Untold
