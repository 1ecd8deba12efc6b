"""A plan: all that is known of an operation before its values are, made once and shared by the requests like it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

from graphql import DocumentNode, OperationDefinitionNode
from graphql.execution.values import VariableValues

from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.plan.cost import Estimate, Formula
from lakefront.graphql.plan.live import Live
from lakefront.graphql.plan.parts import Compiled, Root

_numbers = count()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An operation that is valid and allowed to whoever has the permissions for which it was planned.

    ``compiled`` are the root fields that one statement answers; ``rest`` is the document that asks for the others
    alone, where there are any beside them.
    """

    document: DocumentNode
    operation: OperationDefinitionNode
    permissions: frozenset[str]
    cost: Formula
    roots: tuple[Root, ...]
    compiled: Compiled | None
    rest: DocumentNode | None
    guarded: bool
    """Whether variables may name what requires a scope."""
    uses: Mapping[str, int]
    """How often each root field is used, aliases counted, those behind ``@skip`` and ``@include`` as well."""
    manages_access: bool
    """Whether it never counts against the tenant's day (``access``)."""
    live: Live | None = None
    """What is compiled of a subscription's events."""
    number: int = field(default_factory=_numbers.__next__)
    """No other plan of this process has it: statements are found by it, and do not keep the plan."""

    @property
    def tier(self) -> int:
        """1: one statement makes the whole answer; 2: a part of it; 3: the resolvers make all of it.

        Of a subscription, the answer to an event; by memory and a statement for each relation.
        """
        if self.live is not None:
            return 2 if self.live.tell is None else 1
        if self.compiled is None:
            return 3
        return 1 if self.rest is None else 2

    @property
    def one_statement(self) -> bool:
        """Whether the answer takes one statement, and nothing beside or inside it."""
        return self.compiled is not None and self.rest is None and not self.compiled.tree.below


def part_of(plan: Plan, compiled: Compiled) -> Plan:
    """What makes one statement of several for the operation of ``plan``."""
    return replace(plan, roots=(), compiled=compiled, number=next(_numbers))


class Planned(NamedTuple):
    """A plan and the variables of one request."""

    plan: Plan
    request: OperationRequest
    variables: VariableValues
    estimate: Estimate
