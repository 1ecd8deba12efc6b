"""Shape and values apart: equal skeletons compile to one statement, whatever the values are.

A skeleton is a request whose scalars are ``Slot``s: what is left (columns, operators, directions, which keys of a
cursor are null, how conditions nest) is what SQL's text depends on. The statement that is compiled from it keeps the
slots as its parameters' values, and ``Template.fill`` puts the values of a request in their places.
"""

from dataclasses import replace
from typing import Any, TypeVar

from lakefront.db.query.expression import (
    All,
    Compare,
    Either,
    Expression,
    Near,
    Operator,
    Opposite,
    Related,
)
from lakefront.db.query.groups import GroupRequest
from lakefront.db.query.order import Position
from lakefront.db.query.page import USUAL_LIMITS, PageRequest
from lakefront.db.statement import Slot

R = TypeVar("R", PageRequest, GroupRequest)


class Slots:
    """The values of one operation, in the order in which its requests were split."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.conditions = 0
        """Comparisons and relations in all filters."""
        self.positions = 0
        """What going on after a row adds to them: an order of n keys compares the first, or the first and second, …"""

    def put(self, value: Any) -> Any:
        """The slot that stands for ``value`` (typed as what it stands for)."""
        self.values.append(value)
        return Slot(len(self.values) - 1)

    def page(self, request: PageRequest) -> PageRequest:
        """The skeleton of a page."""
        return replace(
            request,
            limit=self._limit(request.limit),
            where=self.condition(request.where),
            after=self._position(request.after),
            before=self._position(request.before),
            meters=None if request.meters is None else self.put(request.meters),
        )

    def groups(self, request: GroupRequest) -> GroupRequest:
        """The skeleton of groups."""
        return replace(
            request,
            limit=self._limit(request.limit),
            where=self.condition(request.where),
            having=tuple(replace(part, value=self._operand(part.operator, part.value)) for part in request.having),
        )

    def _limit(self, limit: int) -> Any:
        return limit if limit in USUAL_LIMITS else self.put(limit)

    def condition(self, expression: Expression | None) -> Expression | None:
        """The skeleton of a filter."""
        return None if expression is None else self._part(expression)

    def _part(self, expression: Expression) -> Expression:
        self.conditions += 1
        match expression:
            case Compare(column, operator, value):
                return Compare(column, operator, self._operand(operator, value))
            case All(parts):
                return All(tuple(self._part(part) for part in parts))
            case Either(parts):
                return Either(tuple(self._part(part) for part in parts))
            case Opposite(part):
                return Opposite(self._part(part))
            case Related(join, quantifier, part):
                return Related(join, quantifier, self._part(part))
            case Near(latitude_column, longitude_column, latitude, longitude, meters):
                return Near(latitude_column, longitude_column, *map(self.put, (latitude, longitude, meters)))

    def _operand(self, operator: Operator, value: Any) -> Any:
        match operator:
            case Operator.IS_NULL:
                return value
            case Operator.BETWEEN:
                return tuple(self.put(item) for item in value)
            case _:
                return self.put(value)

    def _position(self, position: Position | None) -> Position | None:
        self.positions += len(position) ** 2 if position is not None else 0
        return None if position is None else tuple(None if key is None else self.put(key) for key in position)
