"""Running the compiled part of a plan: one statement, and its values put together to the answer's data."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

import asyncpg
import orjson
from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.errors import LakefrontError, OperationTimeout
from lakefront.graphql.answers import Answer, encode, refused
from lakefront.graphql.plan.batches import Batches, Value
from lakefront.graphql.plan.errors import format_execution_errors
from lakefront.graphql.plan.mixed import Answered
from lakefront.graphql.plan.parts import Compiled, Root
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Plan, Planned
from lakefront.graphql.plan.statements import Bound, Statements

_log = logging.getLogger("lakefront.graphql.plan")

Values = dict[str, list[bytes]]
"""Response name -> JSON text, in parts: each time it were joined it would be copied."""


class Runner:
    """Runs compiled parts; ``tiers`` counts the operations by the tier that answered them."""

    def __init__(self, database: Database, *, statements: int) -> None:
        """``statements``: bytes of compiled statements that are kept."""
        self._database = database
        self.statements = Statements(statements)
        self.batches = Batches(database)
        self.tiers: Counter[int] = Counter()

    async def bind(self, planned: Planned, actor: Actor) -> Bound | None:
        """The statement with this request's values; ``None`` where the resolvers must answer it."""
        if planned.plan.compiled is None:
            return None
        try:
            return await self.statements.bind(planned, actor)
        except NotCompiled:
            return None

    async def read(self, planned: Planned, bound: Bound) -> Values | None:
        """The values of the compiled root fields; ``None`` where the statement failed in a way that resolvers tell.

        Raises ``LakefrontError`` where PostgreSQL is away, or out of time.
        """
        compiled = planned.plan.compiled
        assert compiled is not None, "only what is compiled is bound"
        try:
            if bound.shape.batched:
                found: list[Value] = [await self.batches.run(bound)]
            else:
                found = await self.alone(bound)
        except asyncpg.PostgresError as failure:
            if (told := unread(failure)) is not None:
                raise told from None
            return None
        return named(compiled, found)

    async def alone(self, bound: Bound) -> list[Value]:
        """The root fields' values of a statement that goes alone; raises what it raised."""
        statement = bound.statement()
        found: list[Value] = await self._database.value(statement.sql, *statement.values)
        return found


def unread(failure: BaseException) -> LakefrontError | None:
    """What is told of a statement that failed; ``None`` where resolvers are to answer, as the specification says.

    Raises ``failure`` if nobody foresaw it.
    """
    if isinstance(failure, LakefrontError):
        return failure
    if isinstance(failure, asyncpg.QueryCanceledError):
        return OperationTimeout()
    if not isinstance(failure, asyncpg.PostgresError):
        raise failure
    # Its text may quote values of rows: the class is enough to look for it.
    _log.warning("a compiled statement failed, resolvers answer: %s", type(failure).__name__)
    return None


def named(compiled: Compiled, found: Sequence[Value]) -> Values:
    """What a statement ``found``, and what was known beforehand, by response name."""
    if (only := compiled.spread) is not None:
        members = zip([key for key, _ in only.members], ([value or b"null"] for value in found), strict=True)
        values = dict.fromkeys(compiled.read, object_of(members))
    else:
        values = {key: [value or b"null"] for key, value in zip(compiled.read, found, strict=True)}
    for key, text in compiled.known.items():
        values[key] = [text]
    return values


def object_of(members: Iterable[tuple[str, list[bytes]]]) -> list[bytes]:
    """A JSON object, in parts; its names are GraphQL's."""
    parts, between = [b"{"], b""
    for key, value in members:
        parts.append(b'%b"%b":' % (between, key.encode()))
        parts += value
        between = b","
    parts.append(b"}")
    return parts


def whole(plan: Plan, values: Values) -> list[bytes]:
    """The data object, its members in the order of the document."""
    return object_of((root.key, values[root.key]) for root in plan.roots)


def answered(plan: Plan, values: Values) -> Answered:
    """What the executor goes on from, where Python fields are in what SQL read."""
    assert plan.compiled is not None, "what was read is compiled"
    tree = plan.compiled.tree
    return Answered({name: orjson.loads(b"".join(values[name])) for name in tree.below}, tree)


def joined(plan: Plan, values: Values, rest: Answer) -> Answer:
    """The answer of resolvers for the other root fields, with ``values`` in their places."""
    if rest.data is None:
        return rest
    others = {key: [encode(value)] for key, value in rest.data.items()}
    return Answer(errors=rest.errors, raw=b"".join(whole(plan, {**values, **others})))


def failed(plan: Plan, error: LakefrontError, trace_id: str) -> Answer:
    """The answer when the statement failed: an error at each root field that it was to give."""
    return _lost(plan, [root for root in plan.roots if root.reason is None], error, trace_id)


def timed_out(plan: Plan, error: OperationTimeout, trace_id: str) -> Answer:
    """The answer when nothing came in time: an error at each root field, where a statement was to give some of them."""
    return refused(error, trace_id) if plan.compiled is None else _lost(plan, plan.roots, error, trace_id)


def _lost(plan: Plan, lost: Sequence[Root], error: LakefrontError, trace_id: str) -> Answer:
    errors = [GraphQLError(error.message, root.node, path=[root.key], original_error=error) for root in lost]
    # Whatever else the resolvers had is not waited for: with the parts that may not be null, all is null.
    alone = len(lost) == len(plan.roots) and all(root.nullable for root in lost)
    data = dict.fromkeys(root.key for root in plan.roots) if alone else None
    return Answer(data=data, errors=format_execution_errors(errors, trace_id), refusal=error)
