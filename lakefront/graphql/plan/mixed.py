"""Python fields inside what SQL answers (tier 2): SQL gives their objects, with the columns that they need.

The executor walks down from the root to those fields alone. What SQL gave stands where it is, as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from graphql import GraphQLObjectType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from lakefront.graphql.declare.record import Record

ROW: Final = "#row"
"""The member of an object that has the columns its Python fields need; no response name is spelled so."""

Step = tuple[tuple[str, ...], type[Record]]
"""The response names down to an object with Python fields, and the record that they are fields of."""


@dataclass(slots=True)
class Mixed:
    """An object on the way to Python fields: what is further down, and its record where it has such fields itself."""

    below: dict[str, "Mixed"] = field(default_factory=dict)
    record: type[Record] | None = None


def mixed(steps: Iterable[Step]) -> Mixed:
    """The tree of the objects to which ``steps`` lead."""
    root = Mixed()
    for path, record in steps:
        node = root
        for name in path:
            node = node.below.setdefault(name, Mixed())
        node.record = record
    return root


class Answered:
    """An object that SQL answered; stands for it as a resolver's source."""

    def __init__(self, values: Mapping[str, Any], tree: Mixed) -> None:
        self.values = values
        self.tree = tree

    @cached_property
    def parent(self) -> Any:
        """What Python fields of the object are resolved with; nothing at the root."""
        return self.tree.record(row=self.values[ROW]) if self.tree.record is not None else None

    def below(self, name: str) -> Any:
        """What is under the response name ``name``, further down to which Python fields are."""
        return _wrapped(self.values[name], self.tree.below[name])


def _wrapped(value: Any, tree: Mixed) -> Any:
    if isinstance(value, list):
        return [_wrapped(item, tree) for item in value]
    return Answered(value, tree) if isinstance(value, dict) else value


class MixedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes the Python fields of what SQL answered, and nothing else of it."""

    def execute_field(
        self, parent_type: GraphQLObjectType, source: Any, field_details_list: FieldDetailsList, path: Path, *more: Any
    ) -> Any:
        """What SQL gave as it is; else what the resolver gives, or ``go_on``."""
        name = str(path.key)
        if isinstance(source, Answered) and name not in source.tree.below:
            if name in source.values:
                return source.values[name]
            source = source.parent
        return super().execute_field(parent_type, source, field_details_list, path, *more)

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        *more: Any,
    ) -> Any:
        """As it is, but for what stands for an object: nobody need ask whether that is of its type."""
        if isinstance(result, Answered):
            return self.collect_and_execute_subfields(return_type, field_details_list, path, result, *more)
        return super().complete_object_value(return_type, field_details_list, info, path, result, *more)


def go_on(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """Middleware: instead of resolving a field that SQL answered, go further down in the answer."""
    return source.below(str(info.path.key)) if isinstance(source, Answered) else resolve(source, info, **arguments)
