"""Values for arguments: mostly what the data have, so that filters find something, and some that nobody has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLScalarType,
    get_named_type,
    get_nullable_type,
    is_non_null_type,
    is_required_input_field,
)

from lakefront.db.database import Row
from lakefront.graphql.declare.cursors import encode
from tests.graphql.fuzz.choices import Choices
from tests.graphql.fuzz.variables import ABSENT

NASTY: Final = (
    *("", " ", "%", "_", "\\\\", "'", '"', "$1", "--", "ünï", "𝄞 clef", "\u202eright", "a\nb", "tab\t", "\x01", "\x7f"),
    *("null", "true", "0", "1e5", "{}", "[]", "O'Brien; DROP TABLE permits", "100%_odd\\\\one", "x" * 100),
)
"""Texts that break what is put together carelessly."""

SCALARS: Final[Mapping[str, Sequence[Any]]] = {
    "Boolean": (True, False),
    "Int": (0, 1, 2, 3, -1, 1000, 2**31 - 1, -(2**31)),
    "Float": (0, 1.5, -0.0, 37.75, -122.4, 1e300, 5e-324, 1000, 0.1),
    "BigInt": ("0", "1", 10, "-1", "9007199254740993", str(2**63 - 1), str(-(2**63)), 2**53 + 1),
    "Date": ("2024-01-02", "2030-01-01", "0001-01-01", "9999-12-31", "2024-02-29"),
    "DateTime": (
        *("2024-01-02T08:00:00+00:00", "2024-01-01T02:00:00.5+02:00", "0001-01-01T00:00:00Z", "2024-01-05t00:00:00z"),
        *("9999-12-31T23:59:59.999999+00:00", "2024-01-03T00:00:00.0001+00:00"),
    ),
    "JSON": ({}, {"a": [1, None]}, 1, "x", []),
    "ID": ("P001", "nobody", "", "E1-0", "ünï"),
    "String": NASTY,
}
_WRONG: Final[Mapping[str, Sequence[Any]]] = {
    "Int": (-1, 1001, 2**31 - 1),
    "Float": (0.0, -1.0, 1e308),
    "String": ("nul\0", "\\", "not a cursor", ""),
    "ID": ("", "!", "eyJh", "WyJQZXJtaXQiXQ", "nul\0"),
    "BigInt": ("0",),
}
IDS: Final = tuple(
    encode(values)
    for values in (
        *(["Permit", "nobody"], ["Permit", 1], ["Permit", None], ["Permit", "P001", 1], ["Permit"], ["Query", 1]),
        *(["PermitEvent", 0, 10], ["PermitEvent", 0, 2**70], ["PermitEvent", "0", "10"], ["PermitAddress", "P1", "A0"]),
    )
)
"""Global ids of rows that are not there, or cannot be."""

_DEEPEST: Final = 4


@dataclass(frozen=True)
class Pools:
    """What there is in the database."""

    by_name: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """GraphQL name of a field -> values that it has (JSON forms)."""
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Name of a source -> rows of it, of any tenant."""


class Values:
    """Draws values (JSON forms, ABSENT for what is not there) for places in a schema."""

    def __init__(self, choices: Choices, pools: Pools, *, spoil: bool) -> None:
        """``spoil``: some are such that a resolver refuses them."""
        self._choices = choices
        self._pools = pools
        self._spoil = spoil

    def value(self, type_: Any, name: str, depth: int = 0) -> Any:
        """A value of ``type_`` for the argument or input field ``name``."""
        if self._spoil and not is_non_null_type(type_) and self._choices.chance(4):
            return None if self._choices.chance(50) else ABSENT
        type_ = get_nullable_type(type_)
        if isinstance(type_, GraphQLList):
            return self._list(type_, name, depth)
        if isinstance(type_, GraphQLEnumType):
            return self._choices.pick(sorted(type_.values))
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_, name, depth)
        return self.scalar(type_, name)

    def scalar(self, type_: GraphQLScalarType, name: str) -> Any:
        """A value that a field of that name has, or any of the type."""
        if self._spoil and type_.name in _WRONG and self._choices.chance(25):
            return self._choices.pick(_WRONG[type_.name])
        seen = self._pools.by_name.get(name, ())
        if name in {"id", "ids"}:
            return self._choices.pick(self._pools.by_name["id"] if self._choices.chance(90) else IDS)
        if seen and self._choices.chance(88):
            return self._choices.pick(seen)
        return self._choices.pick(SCALARS.get(type_.name, NASTY))

    def _list(self, type_: GraphQLList[Any], name: str, depth: int) -> list[Any]:
        least, most = (0, 4) if name == "ids" else (2, 2) if name == "between" else (1, 2)
        if self._spoil and self._choices.chance(10):
            least, most = 0, 3
        item = get_nullable_type(type_.of_type)
        if isinstance(item, GraphQLEnumType):
            return self._choices.several(sorted(item.values), least, most)
        return [self.value(type_.of_type, name, depth) for _ in range(self._choices.number(least, most))]

    def _object(self, type_: GraphQLInputObjectType, name: str, depth: int) -> dict[str, Any]:
        if "isNull" in type_.fields:
            return self._operators(type_, name)
        required = [part for part, field_ in type_.fields.items() if is_required_input_field(field_)]
        if required:
            optional = [part for part in type_.fields if part not in required]
            chosen = required + self._choices.several(optional, 0, 2)
        else:
            chosen = self._members(type_, depth)
        return {part: self.value(type_.fields[part].type, part, depth + 1) for part in chosen}

    def _members(self, type_: GraphQLInputObjectType, depth: int) -> list[str]:
        """One member of an order, one or two of a filter; those that lead deeper as often as all the plain ones."""
        if self._spoil and self._choices.chance(5):
            return self._choices.several(list(type_.fields), 0, 3)
        plain: list[str] = []
        deep: list[str] = []
        for name, field_ in type_.fields.items():
            inner = get_named_type(field_.type)
            nested = isinstance(inner, GraphQLInputObjectType) and "isNull" not in inner.fields
            (deep if nested else plain).append(name)
            if nested and name not in {"and", "or", "not"}:
                deep += [name] * 3  # related rows and places go before more of the same
        if not plain and "some" in deep:
            return self._choices.several(sorted(set(deep)), 1, 2)
        if type_.is_one_of or type_.name.endswith("Order"):
            return [self._choices.pick(deep if deep and (not plain or self._choices.chance(30)) else plain)]
        chosen = [self._choices.pick(deep)] if not plain or self._deeper(deep, depth) else []
        return chosen + self._choices.several(plain, 0 if chosen else 1, 1 if chosen else 2)

    def _deeper(self, deep: list[str], depth: int) -> bool:
        return bool(deep) and depth < _DEEPEST and self._choices.chance(60)

    def _operators(self, type_: GraphQLInputObjectType, name: str) -> dict[str, Any]:
        made = {}
        for operator in self._choices.several(list(type_.fields), 1, 1 if self._choices.chance(80) else 2):
            operand = type_.fields[operator].type
            if operator in {"like", "ilike", "startsWith"}:
                made[operator] = self._pattern(operand, name)
            elif operator == "isNull":
                made[operator] = self._choices.chance(50)
            elif isinstance(get_nullable_type(operand), GraphQLList):
                made[operator] = self._operands(operator, operand, name)
            else:
                made[operator] = self.value(operand, name)
        return made

    def _operands(self, operator: str, type_: Any, name: str) -> Any:
        if self._spoil and self._choices.chance(10):
            return self._choices.pick(([], None, ABSENT))
        least, most = (2, 2) if operator == "between" else (1, 3)
        item = get_nullable_type(type_).of_type
        return [self.value(item, name) for _ in range(self._choices.number(least, most))]

    def _pattern(self, type_: Any, name: str) -> Any:
        text = self.value(type_, name)
        if not isinstance(text, str):
            return text
        start = text[: self._choices.number(0, 3)].rstrip("\\")
        return self._choices.pick((start, f"{start}%", f"%{text[-2:]}", f"_{text[1:]}", f"{start}\\%%", "%\\_%"))
