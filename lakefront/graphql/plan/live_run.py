"""Running what is compiled of a subscription: its statements for an event, and the event's answer."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

import orjson
from graphql import GraphQLError

from lakefront.actor import Actor
from lakefront.errors import LakefrontError
from lakefront.graphql.plan.batches import Value
from lakefront.graphql.plan.live import Known, Live, Read, Untold, plans
from lakefront.graphql.plan.pick import NotCompiled
from lakefront.graphql.plan.plan import Plan, Planned
from lakefront.graphql.plan.run import Runner
from lakefront.graphql.plan.statements import Bound, Statements

_log = logging.getLogger("lakefront.graphql.plan")


AHEAD: Final = 64
"""Events for which is read at once, at most."""

COST_AHEAD: Final = 20_000
"""What they may cost together, by the plan's estimate: all that is read for them is in memory."""


class Beside:
    """What is read beside the events of one subscription: for those that come one right after the other, at once."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._plan: Plan | None = None
        self._ahead: dict[int, tuple[Any, Known | None]] = {}

    async def of(self, planned: Planned, actor: Actor, payload: Any) -> Known | None:
        """What the plan's statements give for ``payload``; ``None`` where resolvers tell why they do not."""
        ahead = self._ahead.pop(id(payload), None)
        if ahead is not None and self._plan is planned.plan:
            return ahead[1]
        most = max(1, min(AHEAD, COST_AHEAD // max(1, planned.estimate.total)))
        payloads = [payload, *islice(getattr(payload, "coming", ()), most - 1)]
        first, *others = await read_beside(self._runner, planned, actor, payloads)
        if others:
            # Under the plan of its rights alone. The payloads are kept, so that their ids are nobody else's.
            self._plan = planned.plan
            self._ahead = {id(each): (each, known) for each, known in zip(payloads[1:], others, strict=True)}
        return first


async def read_beside(
    runner: Runner, planned: Planned, actor: Actor, payloads: Sequence[Any]
) -> Sequence[Known | None]:
    """What the plan's statements give for each of ``payloads``, in one go."""
    live = planned.plan.live
    assert live is not None, "a subscription that resolvers tell reads nothing beside them"
    try:
        bounds = {read: await _bound(runner, planned, actor, read) for read in live.reads}
    except (NotCompiled, LakefrontError):
        return [None] * len(payloads)
    keys = [{read: key for read in live.reads if (key := read.key(payload)) is not None} for payload in payloads]
    wanted = dict.fromkeys(pair for each in keys for pair in each.items())
    running = (runner.batches.run(bounds[read]._replace(key=key)) for read, key in wanted)
    values = dict(zip(wanted, await asyncio.gather(*running, return_exceptions=True), strict=True))
    failed = {type(value).__name__ for value in values.values() if isinstance(value, BaseException)}
    if failed:
        # Its text may quote values of rows: the class is enough to look for it.
        _log.warning("a subscription's statement failed, resolvers answer: %s", ", ".join(sorted(failed)))
    return [_known({read: values[read, key] for read, key in each.items()}) for each in keys]


async def _bound(runner: Runner, planned: Planned, actor: Actor, read: Read) -> Bound:
    return await runner.statements.bind(planned._replace(plan=read.plan), actor)


def _known(values: dict[Read, Value | BaseException]) -> Known | None:
    known = {read: value for read, value in values.items() if not isinstance(value, BaseException)}
    return known if len(known) == len(values) else None


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
