"""The Strawberry field that carries a declaration: arguments and resolver follow from it."""

from functools import cached_property
from typing import Any

from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from lakefront.graphql.declare.arguments import arguments_of
from lakefront.graphql.declare.declarations import Column, Declaration, Embedded, Identity, Whole
from lakefront.graphql.declare.record import declaration_of
from lakefront.graphql.declare.resolvers import Ask, resolve

_IN_ROW = (Column, Embedded, Identity, Whole)


class DeclaredField(StrawberryField):
    """A field that is resolved by its declaration."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.init = self.repr = self.compare = False

    @cached_property
    def declaration(self) -> Declaration:
        """What the field means in SQL."""
        found = declaration_of(self)
        assert found is not None, "a DeclaredField is made with a declaration"
        return found

    @property
    def is_basic_field(self) -> bool:
        """Whether the value is in the row at hand: Strawberry then makes no ``info`` for it."""
        return isinstance(self.declaration, _IN_ROW)

    @property
    def arguments(self) -> list[StrawberryArgument]:
        """Made when the schema is: by then every type is known."""
        if self._arguments is None:
            self._arguments = arguments_of(self, self.declaration)
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[StrawberryArgument]) -> None:
        self._arguments = value

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:  # noqa: ARG002 - Strawberry's signature
        """The field's value, or an awaitable of it."""
        return resolve(self.declaration, Ask(self, source, info, kwargs))
