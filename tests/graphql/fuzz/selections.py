"""Selections: fields, aliases, fragments, directives, at random and such that they can be merged."""

from typing import Any, Final

from graphql import GraphQLField, get_named_type

from tests.graphql.fuzz.arguments import Arguments
from tests.graphql.fuzz.choices import Choices
from tests.graphql.fuzz.facts import Facts, is_leaf, wraps
from tests.graphql.fuzz.scope import Scope, named, taken
from tests.graphql.fuzz.variables import Variables

DEEPEST: Final = 4
"""Steps from row to row."""
_MOST_FRAGMENTS: Final = 3


class Selections:
    """Draws what stands between braces."""

    def __init__(
        self, choices: Choices, facts: Facts, arguments: Arguments, variables: Variables, *, daring: bool
    ) -> None:
        self._choices = choices
        self._facts = facts
        self._arguments = arguments
        self._variables = variables
        self._daring = daring
        self._boolean = facts.core.type_map["Boolean"]
        self._fragments: dict[str, tuple[str, str, Scope]] = {}
        self._left = choices.number(5, 25)

    def fragments(self) -> str:
        """The definitions of all named fragments."""
        return "".join(f" fragment {name} on {on} {text}" for name, (on, text, _) in self._fragments.items())

    def root(self, type_: Any) -> str:
        """The selection of a whole operation."""
        fields = self._facts.fields(type_, daring=self._daring)
        compiled = [name for name, field in fields.items() if self._facts.compiled(field)]
        python = [name for name in fields if name not in compiled]
        scope, parts, mixed = Scope(), [], self._choices.chance(20)
        for _ in range(self._choices.pick((1, 1, 1, 2, 3))):
            names = python if python and mixed and self._choices.chance(50) else compiled
            name = self._choices.pick(names)
            parts.append(self._field(name, fields[name], scope, 0))
        if self._choices.chance(8):
            parts.append(self._typename(scope))
        if self._choices.chance(10):
            parts = [f"... on {type_.name}{self._directive()} {{ {' '.join(parts)} }}", self._typename(scope)]
        return f"{{ {' '.join(parts)} }}"

    def below(self, type_: Any) -> str:
        """What is selected of a ``type_`` that only one root field gives, in braces."""
        return self._below(type_, Scope(), 0)

    def _below(self, type_: Any, scope: Scope, depth: int) -> str:
        """What is selected of ``type_``, in braces."""
        parts: list[str] = []
        if self._facts.is_node(type_):
            parts = [self._inline(type_, scope, depth) for _ in range(self._choices.number(1, 2))]
        elif self._choices.chance(12):
            draw = self._spread if self._choices.chance(60) else self._inline
            parts = [draw(type_, scope, depth)]
        if not parts or self._choices.chance(60):
            parts += self._fields(type_, scope, depth)
        return f"{{ {' '.join(parts)} }}"

    def _fields(self, type_: Any, scope: Scope, depth: int) -> list[str]:
        fields = self._facts.fields(type_, daring=self._daring)
        leaves = [name for name, field in fields.items() if is_leaf(field)]
        deeper = [name for name, field in fields.items() if not is_leaf(field)]
        step = 0 if wraps(type_) else 1
        chosen = self._choices.several(leaves, 0 if deeper else 1, 4)
        if self._left > 0 and deeper and depth < DEEPEST and self._choices.chance(95 if not step else 55):
            chosen += self._choices.several(deeper, 1, 2)
        parts = [self._field(name, fields[name], scope, depth + step) for name in chosen]
        again = taken(self._choices, scope, fields) if self._choices.chance(10) else None
        if again is not None:
            name, written, below = again
            parts.append(f"{written}{self._directive()}{self._rest(fields[name], below, depth + step)}")
        if not parts or self._choices.chance(12):
            parts.append(self._typename(scope))
        return parts

    def _field(self, name: str, field: GraphQLField, scope: Scope, depth: int) -> str:
        self._left -= 1
        written, below = named(self._choices, scope, name, self._arguments.of(field, depth), field.type)
        return f"{written}{self._directive()}{self._rest(field, below, depth)}"

    def _rest(self, field: GraphQLField, below: Scope, depth: int) -> str:
        return "" if is_leaf(field) else f" {self._below(get_named_type(field.type), below, depth)}"

    def _typename(self, scope: Scope) -> str:
        return named(self._choices, scope, "__typename", "", "String!")[0]

    def _inline(self, type_: Any, scope: Scope, depth: int) -> str:
        on = self._choices.pick(self._facts.conditions(type_))
        inner = self._facts.core.type_map[on]
        condition = "" if on == type_.name and self._choices.chance(40) else f" on {on}"
        return f"...{condition}{self._directive()} {{ {' '.join(self._fields(inner, scope, depth))} }}"

    def _spread(self, type_: Any, scope: Scope, depth: int) -> str:
        """A named fragment: one that is there and fits, or a new one."""
        conditions = self._facts.conditions(type_)
        known = [
            name
            for name, (on, text, inner) in self._fragments.items()
            if text and on in conditions and scope.accepts(inner)
        ]
        if known and self._choices.chance(70):
            name = self._choices.pick(known)
            scope.absorb(self._fragments[name][2])
            return f"...{name}{self._directive()}"
        if len(self._fragments) >= _MOST_FRAGMENTS:
            return self._inline(type_, scope, depth)
        on, name = self._choices.pick(conditions), f"F{len(self._fragments)}"
        inner = Scope(scope)
        self._fragments[name] = (on, "", inner)  # its place; not to be spread within itself
        parts = self._fields(self._facts.core.type_map[on], inner, depth)
        self._fragments[name] = (on, f"{{ {' '.join(parts)} }}", _alone(inner))
        return f"...{name}{self._directive()}"

    def _directive(self) -> str:
        if not self._choices.chance(4):
            return ""
        kind = self._choices.pick(("include", "skip"))
        value = (kind == "include") != self._choices.chance(30)
        return f" @{kind}(if: {self._variables.write(value, self._condition, 50, lambda: not value)})"

    @property
    def _condition(self) -> Any:
        return self._facts.core.get_directive("skip").args["if"].type


def _alone(scope: Scope) -> Scope:
    """``scope`` without what is around it."""
    made = Scope()
    made.absorb(scope)
    return made
