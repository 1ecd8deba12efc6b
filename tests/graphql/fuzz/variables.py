"""Writing values into a document: as literals, as variables, or with variables inside; they mean the same."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull, get_nullable_type

from tests.graphql.fuzz.choices import Choices

ABSENT: Final = object()
"""A value that is not there: left out, or a variable that was not given."""

_BLOCK = re.compile(r"[ -!#-\[\]-~]*")
"""Texts that mean the same in a block string: without quotes, backslashes, line feeds; nor spaces around them."""


class Variables:
    """The variables of one operation."""

    def __init__(self, choices: Choices, *, spoil: bool) -> None:
        """``spoil``: some values do not fit their variable's type."""
        self._choices = choices
        self._spoil = spoil
        self._definitions: dict[str, str] = {}
        self._known: dict[tuple[str, str], str] = {}
        self.values: dict[str, Any] = {}
        self.others: dict[str, Any] = {}
        """Values for another request with the same document."""

    def definitions(self) -> str:
        """As they stand behind the operation's name."""
        parts = [f"${name}: {text}" for name, text in self._definitions.items()]
        return f"({', '.join(parts)})" if parts else ""

    def write(self, value: Any, type_: Any, percent: int = 20, again: Callable[[], Any] | None = None) -> str:
        """``value`` (JSON form) at a place of ``type_``; ``percent``: how often it, or a part of it, is a variable.

        ``again`` gives another value, for another request.
        """
        if value is ABSENT or self._choices.chance(percent):
            name = self._variable(value, type_)
            if again is not None and name in self.values:
                self.others[name] = _present(again())
            return f"${name}"
        if value is None:
            return "null"
        type_ = get_nullable_type(type_)
        if isinstance(type_, GraphQLList):
            items = value if isinstance(value, list) else [value]
            if len(items) == 1 and items[0] is not None and _present(items[0]) == items[0] and self._choices.chance(10):
                return _literal(items[0], type_.of_type)  # a list of one may be written as the one
            return f"[{', '.join(self.write(item, type_.of_type, percent // 2) for item in items)}]"
        if isinstance(type_, GraphQLInputObjectType) and isinstance(value, Mapping):
            inner = 0 if type_.is_one_of else percent // 2
            parts = [f"{name}: {self.write(part, type_.fields[name].type, inner)}" for name, part in value.items()]
            return f"{{{', '.join(parts)}}}"
        return self._leaf(value, type_)

    def _leaf(self, value: Any, type_: Any) -> str:
        plain = isinstance(value, str) and value.strip() == value != "" and _BLOCK.fullmatch(value)
        if plain and not isinstance(type_, GraphQLEnumType) and self._choices.chance(5):
            return f'"""{value}"""'
        return _literal(value, type_)

    def _variable(self, value: Any, type_: Any) -> str:
        """Its name: given, or by its default, or (where ``value`` is ABSENT) neither."""
        nullable = get_nullable_type(type_)
        required = isinstance(type_, GraphQLNonNull)
        if value is ABSENT:
            return self._define(f"{nullable}", ABSENT)
        if value is None:
            default = "" if self._choices.chance(50) else " = null"
            return self._define(f"{nullable}{default}", None if not default or self._choices.chance(50) else ABSENT)
        value = _present(value)
        if self._choices.chance(30):
            default = _literal(value, nullable)
            return self._define(f"{nullable} = {default}", value if self._choices.chance(50) else ABSENT)
        exact = required or self._choices.chance(30)
        return self._define(f"{nullable}{'!' if exact else ''}", self._spoiled(value))

    def _spoiled(self, value: Any) -> Any:
        if self._spoil and self._choices.chance(10):
            return self._choices.pick((None, "no such", {"a": []}, [[]], 1.5, True, "\ud800", "nul\0"))
        return value

    def _define(self, text: str, value: Any) -> str:
        seen = (text, json.dumps(value) if value is not ABSENT else "")
        if seen in self._known and self._choices.chance(50):
            return self._known[seen]
        name = self._choices.pick(("v", "tenant", "p_", "select", "V")) + str(len(self._definitions))
        self._known[seen] = name
        self._definitions[name] = text
        if value is not ABSENT:
            self.values[name] = value
        return name


def _present(value: Any) -> Any:
    """``value`` without what is ABSENT inside."""
    if isinstance(value, Mapping):
        return {name: _present(part) for name, part in value.items() if part is not ABSENT}
    return [_present(item) for item in value if item is not ABSENT] if isinstance(value, list) else value


def _literal(value: Any, type_: Any) -> str:
    """``value`` without variables."""
    type_ = get_nullable_type(type_)
    if value is None:
        return "null"
    if isinstance(type_, GraphQLList):
        items = value if isinstance(value, list) else [value]
        return f"[{', '.join(_literal(item, type_.of_type) for item in items)}]"
    if isinstance(type_, GraphQLInputObjectType) and isinstance(value, Mapping):
        parts = [f"{name}: {_literal(part, type_.fields[name].type)}" for name, part in value.items()]
        return f"{{{', '.join(parts)}}}"
    if isinstance(type_, GraphQLEnumType):
        return str(value)
    return _untyped(value)


def _untyped(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_untyped(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_untyped, value))}]"
    return json.dumps(value)
