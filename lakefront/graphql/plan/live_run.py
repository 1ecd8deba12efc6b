"""Running what is compiled of a subscription: its statements for an event, and the event's answer."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import orjson
from graphql import GraphQLObjectType
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from lakefront.actor import Actor
from lakefront.db.query import Key
from lakefront.errors import LakefrontError
from lakefront.graphql.plan.batches import Value
from lakefront.graphql.plan.live import Known, Live, Read, plans
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


class LiveExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes an event's selection but for what was read for it beforehand: ``known``, by its path in the answer."""

    known: Mapping[tuple[str | int, ...], Any] = {}

    def execute_field(
        self, parent_type: GraphQLObjectType, source: Any, field_details_list: FieldDetailsList, path: Path, *more: Any
    ) -> Any:
        """What was read as it is; else what the resolver gives."""
        if self.known and (at := tuple(path.as_list())) in self.known:
            return self.known[at]
        return super().execute_field(parent_type, source, field_details_list, path, *more)


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
    keys = [_keys(live, payload) for payload in payloads]
    wanted = dict.fromkeys(pair for each in keys if each is not None for pair in each.items())
    running = (runner.batches.run(bounds[read]._replace(key=key)) for read, key in wanted)
    values = dict(zip(wanted, await asyncio.gather(*running, return_exceptions=True), strict=True))
    failed = {type(value) for value in values.values() if isinstance(value, BaseException)}
    unforeseen = sorted(kind.__name__ for kind in failed if not issubclass(kind, LakefrontError))
    if unforeseen:
        # Its text may quote values of rows: the class is enough to look for it.
        _log.warning("a subscription's statement failed, resolvers answer: %s", ", ".join(unforeseen))
    return [None if each is None else _known({read: values[read, key] for read, key in each.items()}) for each in keys]


def _keys(live: Live, payload: Any) -> dict[Read, Key] | None:
    """What is to be read for ``payload``, as far as it has the rows; ``None`` where it is not what it should be."""
    try:
        return {read: key for read in live.reads if (key := read.key(payload)) is not None}
    except Exception:  # noqa: BLE001 - resolvers meet it, too, and tell it at its place
        return None


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
    except Exception:  # noqa: BLE001 - whatever it is, resolvers meet it, too, and tell it at its place
        return None


def placed(known: Known) -> dict[tuple[str | int, ...], Any]:
    """What was read as values, by their paths in the answer."""
    return {read.path: None if text is None else orjson.loads(text) for read, text in known.items()}


def statements_of(live: Live, planned: Planned, statements: Statements, actor: Actor) -> str | None:
    """The texts of its statements, to be looked at; raises as ``Statements.bind``."""
    texts = [statements.sql(planned._replace(plan=plan), actor) for plan in plans(live)]
    return ";\n\n".join(texts) or None
