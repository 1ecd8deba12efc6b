"""Running what is compiled of a subscription: its statements for an event, and the event's answer."""

import asyncio
import logging
from typing import Any

import asyncpg
import orjson
from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.errors import LakefrontError
from lakefront.graphql.plan.batches import Value
from lakefront.graphql.plan.live import Known, Live, Read, Untold, plans
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Planned
from lakefront.graphql.plan.run import Runner
from lakefront.graphql.plan.statements import Statements

_log = logging.getLogger("lakefront.graphql.plan")


async def read_beside(runner: Runner, planned: Planned, actor: Actor, payload: Any) -> Known | None:
    """What the plan's statements give for ``payload``; ``None`` where one cannot, and resolvers tell why."""
    live = planned.plan.live
    assert live is not None, "a subscription that resolvers tell reads nothing beside them"
    keys = [(read, key) for read in live.reads if (key := read.key(payload)) is not None]
    try:
        values = await asyncio.gather(*(_value(runner, planned, actor, read, key) for read, key in keys))
    except (NotCompiled, LakefrontError):
        return None
    except asyncpg.PostgresError as error:
        # Its text may quote values of rows: the class is enough to look for it.
        _log.warning("a subscription's statement failed, resolvers answer: %s", type(error).__name__)
        return None
    return {read: value for (read, _), value in zip(keys, values, strict=True)}


async def _value(runner: Runner, planned: Planned, actor: Actor, read: Read, key: Any) -> Value:
    bound = await runner.statements.bind(planned._replace(plan=read.plan), actor)
    return await runner.batches.run(bound._replace(key=key))


def told(planned: Planned, payload: Any, known: Known) -> bytes | None:
    """The event's data as JSON text; ``None`` where only resolvers can tell it."""
    plan = planned.plan
    if plan.live is None or plan.live.tell is None:
        return None
    try:
        return orjson.dumps({plan.roots[0].key: plan.live.tell(payload, known)})
    except (Untold, GraphQLError, TypeError, ValueError):
        return None  # a null that may not be, a value that is not of its type, a number past 64 bits


def placed(known: Known) -> dict[tuple[str | int, ...], Any]:
    """What was read as values, by their paths in the answer."""
    return {read.path: None if text is None else orjson.loads(text) for read, text in known.items()}


def statements_of(live: Live, planned: Planned, statements: Statements, actor: Actor) -> str | None:
    """The texts of its statements, to be looked at; raises as ``Statements.bind``."""
    texts = [statements.sql(planned._replace(plan=plan), actor) for plan in plans(live)]
    return ";\n\n".join(texts) or None
