"""Planning: from a request to a plan, remembered by all that it depends on (DESIGN.md, "An operation's life").

Documents are remembered by their text, refused ones in a small memory of their own; plans by document, operation, the
values of ``@skip`` and ``@include``, and the actor's permissions. Which tenant asks, for whose rows and with which
values is no part of a plan.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    is_non_null_type,
)

from lakefront.actor import Actor
from lakefront.errors import OperationRefused
from lakefront.graphql.access import manages_access
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.plan.authorise import authorise, authorise_document, authorise_variables
from lakefront.graphql.plan.cache import Cache
from lakefront.graphql.plan.coerce import Variables
from lakefront.graphql.plan.cost import formula
from lakefront.graphql.plan.document import InvalidDocument, read_document, select_operation
from lakefront.graphql.plan.inputs import guards
from lakefront.graphql.plan.live_pick import LivePicker
from lakefront.graphql.plan.mixed import mixed
from lakefront.graphql.plan.parts import Compiled, Part, Root, Typename
from lakefront.graphql.plan.pick import NotCompiled, Picker
from lakefront.graphql.plan.plan import Plan, Planned, part_of
from lakefront.graphql.plan.selection import Selections, conditions_of
from lakefront.graphql.plan.variables import check_variables
from lakefront.graphql.rate_limits import root_fields
from lakefront.settings import MIB, Settings

BYTES_PER_CHARACTER: Final = 60
"""What a parsed document and its plan take in memory, for each character of its text (22 kB for a usual one)."""

MOST_FIELDS: Final = 10_000
"""Fields of a schema whose permissions are remembered: a document may name a hundred, and each is looked up."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document that is valid, and the variables on which its directives depend."""

    size: int
    node: DocumentNode
    conditions: tuple[str, ...]
    operations: dict[str | None, tuple[OperationDefinitionNode, Variables]] = field(default_factory=dict)
    """By the names under which they were asked for."""


class Planner:
    """Plans the operations of one schema."""

    def __init__(
        self,
        schema: strawberry.Schema,
        settings: Settings,
        permission: Callable[[strawberry.Schema, str, str], str | None],
        *,
        compiled: bool = True,
    ) -> None:
        """``compiled=False``: every plan is of tier 3, run by the resolvers alone."""
        self.schema: GraphQLSchema = schema._schema  # noqa: SLF001 - graphql-core's, without a public name
        self.permission = lru_cache(maxsize=MOST_FIELDS)(partial(permission, schema))
        self._strawberry = schema
        self._settings = settings
        self._nulls = settings.forbidden_fields == "null"
        self._compiled = compiled
        self.documents: Cache[str, Document] = Cache(settings.plan_cache * MIB // 2, lambda document: document.size)
        self.refused: Cache[str, tuple[Callable[[], Exception], int]] = Cache(4 * MIB, lambda kept: kept[1])
        self.plans: Cache[Any, tuple[Plan, int]] = Cache(settings.plan_cache * MIB // 2, lambda kept: kept[1])

    def plan(self, request: OperationRequest, actor: Actor) -> Planned:
        """The plan of what is asked, with its variables.

        Raises ``InvalidDocument`` for what the specification refuses, ``LakefrontError`` for what we do.
        """
        document = self.documents.get(request.document) or self._read(request.document)
        operation, reader = document.operations.get(request.operation_name) or self._operation(document, request)
        if reader.composite:
            check_variables(self.schema, operation, request.variables)
        variables = reader.coerce(request.variables)
        if isinstance(variables, list):
            self.authorise(document.node, operation, request, actor)
            raise InvalidDocument(variables)
        conditions = {name: variables.coerced.get(name) for name in document.conditions}
        key = (request.document, request.operation_name, *conditions.values(), actor.scopes, actor.own)
        kept = self.plans.get(key)
        if kept is None:
            try:
                kept = (self._plan(document.node, operation, conditions, actor), document.size)
            except GraphQLError as wrong:  # a condition of @skip or @include is null
                raise InvalidDocument([wrong]) from None
            self.plans.put(key, kept)
        plan = kept[0]
        if plan.guarded:
            authorise_variables(self.schema, operation, actor, self.permission, request.variables)
        return Planned(plan, request, variables, plan.cost.estimate(variables.coerced))

    def may_be_one_statement(self, request: OperationRequest, actor: Actor) -> bool:
        """Whether ``request`` asks for a query that is known, and not for one that takes resolvers anyway.

        Nothing is counted, and little looked at: whoever goes on plans it.
        """
        document = self.documents.peek(request.document)
        known = None if document is None else document.operations.get(request.operation_name)
        if document is None or known is None or known[0].operation is not OperationType.QUERY:
            return False
        if document.conditions:
            return True  # it hangs on the variables
        kept = self.plans.peek((request.document, request.operation_name, actor.scopes, actor.own))
        return kept is not None and kept[0].one_statement

    def _operation(self, document: Document, request: OperationRequest) -> tuple[OperationDefinitionNode, Variables]:
        operation = select_operation(document.node, request.operation_name)
        return document.operations.setdefault(request.operation_name, (operation, Variables(self.schema, operation)))

    def authorise(
        self, document: DocumentNode, operation: OperationDefinitionNode, request: OperationRequest, actor: Actor
    ) -> None:
        """Pass if ``actor`` may run the operation as it is asked for; raises ``Forbidden``."""
        wanted = request.variables
        authorise(self.schema, document, operation, actor, self.permission, variables=wanted, nulls=self._nulls)

    def _read(self, text: str) -> Document:
        refused = self.refused.get(text)
        if refused is not None:
            again, _ = refused
            raise again()
        try:
            node = read_document(self.schema, text, self._settings)
        except InvalidDocument as error:
            self._refuse(text, partial(InvalidDocument, error.errors))
            raise
        except OperationRefused as error:
            self._refuse(text, partial(OperationRefused, error.message))
            raise
        size = 1024 + BYTES_PER_CHARACTER * len(text)
        return self.documents.put(text, Document(size, node, conditions_of(node)))

    def _refuse(self, text: str, again: Callable[[], Exception]) -> None:
        if len(text) <= self._settings.graphql_max_document:
            self.refused.put(text, (again, 4096 + len(text)))

    def _plan(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        conditions: Mapping[str, Any],
        actor: Actor,
    ) -> Plan:
        permissions = authorise_document(self.schema, document, operation, actor, self.permission, nulls=self._nulls)
        known = {name: value for name, value in conditions.items() if value is not None}
        cost = formula(self.schema, document, operation, conditions=known)
        roots, compiled, rest = self._parts(document, operation, conditions, actor)
        guarded = guards(self.schema, operation, self.permission)
        uses = Counter(name for name, _ in root_fields(document, operation))
        access = manages_access(document, operation)
        plan = Plan(document, operation, permissions, cost, roots, compiled, rest, guarded, uses, access)
        if operation.operation is OperationType.SUBSCRIPTION and self._compiled:
            return self._live(plan, conditions, actor)
        return plan

    def _live(self, plan: Plan, conditions: Mapping[str, Any], actor: Actor) -> Plan:
        """``plan``, of a subscription, with what is compiled of its events."""
        selections = Selections(self.schema, plan.document, plan.operation, conditions)
        picker = LivePicker(selections, partial(self._allowed, actor), partial(part_of, plan))
        ((key, details),) = selections.fields().items()
        root_type: Any = self._strawberry.get_type_by_name(selections.root.name)
        live = picker.pick(root_type.origin, selections.root, key, details)
        root = replace(plan.roots[0], reason=picker.reason, path=picker.path[1:])
        return replace(plan, roots=(root,), live=live)

    def _parts(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        conditions: Mapping[str, Any],
        actor: Actor,
    ) -> tuple[tuple[Root, ...], Compiled | None, DocumentNode | None]:
        """The root fields, those that SQL answers, and the document of the others."""
        selections = Selections(self.schema, document, operation, conditions)
        root_type: Any = self._strawberry.get_type_by_name(selections.root.name)
        picker = Picker(selections, partial(self._allowed, actor))
        roots: list[Root] = []
        left: list[FieldNode] = []
        read: dict[str, Part] = {}
        known: dict[str, bytes] = {}
        for key, details in selections.fields().items():
            root, steps = _root(selections, key, details[0].node), list(picker.steps)
            try:
                self._compilable(operation)
                part = picker.root(root_type.origin, selections.root, key, details)
                if isinstance(part, Typename):
                    known[key] = f'"{part.name}"'.encode()
                else:
                    read[key] = part
            except NotCompiled as found:
                root = replace(root, reason=found.reason, path=tuple(picker.path[1:]))
                picker.steps = steps
            if root.reason is not None or picker.steps != steps:
                left += [detail.node for detail in details]
            roots.append(root)
        compiled = Compiled(read, known, tuple(picker.asks), mixed(picker.steps), picker.fields) if read else None
        rest = _only(document, operation, left) if compiled is not None and left else None
        return tuple(roots), compiled, rest

    def _compilable(self, operation: OperationDefinitionNode) -> None:
        if not self._compiled:
            raise NotCompiled("nothing is to be compiled")
        if operation.operation is not OperationType.QUERY:
            raise NotCompiled("only queries are compiled")

    def _allowed(self, actor: Actor, type_name: str, name: str) -> bool:
        scope = self.permission(type_name, name)
        return scope is None or actor.holds(scope)


def _root(selections: Selections, key: str, node: FieldNode) -> Root:
    name = node.name.value
    definition = selections.root.fields.get(name)
    return Root(key, name, node, nullable=definition is not None and not is_non_null_type(definition.type))


def _only(document: DocumentNode, operation: OperationDefinitionNode, nodes: list[Any]) -> DocumentNode:
    """``document`` with an operation that selects ``nodes`` at its root and nothing else."""
    members = {name: getattr(operation, name) for name in operation.keys if name != "selection_set"}
    less = OperationDefinitionNode(**members, selection_set=SelectionSetNode(selections=tuple(nodes)))
    return DocumentNode(definitions=tuple(less if node is operation else node for node in document.definitions))
