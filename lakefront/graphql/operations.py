"""Running GraphQL operations: one path for every door, from the document's text to answers.

An answer is never an exception: what is wrong with a document, its limits, rights or execution is told inside it.
graphql-core is called directly; ADR 0008 says why neither Strawberry's doors nor its extensions are in between.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import strawberry
from graphql import DocumentNode, Executor, OperationType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.errors import (
    BadRequest,
    Forbidden,
    InternalError,
    LakefrontError,
    MethodNotAllowed,
    OperationTimeout,
)
from lakefront.graphql.answers import Answer, OperationRequest, refused
from lakefront.graphql.execution import run_to_end
from lakefront.graphql.extensions import asked_of, check_asked, extended
from lakefront.graphql.following import Following
from lakefront.graphql.guard import Guard
from lakefront.graphql.operation import Operation
from lakefront.graphql.plan.batches import Value
from lakefront.graphql.plan.cost import check_cost
from lakefront.graphql.plan.document import MAX_ERRORS, InvalidDocument
from lakefront.graphql.plan.errors import format_exception, format_request_errors
from lakefront.graphql.plan.live_run import LiveExecutor
from lakefront.graphql.plan.mixed import Answered, MixedExecutor, go_on
from lakefront.graphql.plan.planner import Planner
from lakefront.graphql.plan.run import Runner, answered, failed, joined, named, timed_out, unread, whole
from lakefront.graphql.plan.statements import Bound
from lakefront.graphql.sharing.seat import Outlet
from lakefront.graphql.subscriptions import Subscriptions
from lakefront.graphql.turns import Turns
from lakefront.settings import MIB

_WHERE_SUBSCRIPTIONS_RUN: Final = (
    "Subscriptions run at this path over WebSocket, with the subprotocol graphql-transport-ws, or as server-sent "
    "events: send this request with Accept: text/event-stream."
)


class Operations:
    """Plans and runs operations on one schema, at most ``settings.graphql_concurrency`` at once."""

    def __init__(
        self,
        schema: strawberry.Schema,
        services: Services,
        context: Callable[[Services, Actor, str, Following, Planner], Any],
        permission: Callable[[strawberry.Schema, str, str], str | None],
        *,
        compiled: bool = True,
    ) -> None:
        """``context`` makes what resolvers see, anew for each operation and event; ``permission`` names scopes.

        ``compiled=False`` leaves everything to resolvers: the oracle to which compiled plans are held.
        """
        self.planner = Planner(schema, services.settings, permission, compiled=compiled)
        self.runner = Runner(services.database, statements=services.settings.plan_cache * MIB)
        self._services = services
        self._settings = services.settings
        self._context = context
        self.turns = Turns(services.settings.graphql_concurrency)
        self._live = Subscriptions(self, self.turns, services.settings.follower_buffer)

    @property
    def subscriptions(self) -> Subscriptions:
        """Those that run now."""
        return self._live

    async def execute(
        self, request: OperationRequest, actor: Actor, trace_id: str, *, allow_mutations: bool = True
    ) -> Answer:
        """Run a query or mutation once. Raises nothing: failures are in the answer.

        Subscriptions are refused, mutations too unless ``allow_mutations`` (HTTP GET must not change anything).
        """
        operation = self.prepare(request, actor, trace_id, allow_mutations=allow_mutations)
        return operation if isinstance(operation, Answer) else (await self.run(operation)).parse()

    async def run(self, operation: Operation) -> Answer:
        """As ``execute``, of what ``prepare`` gave."""
        if operation.kind is OperationType.SUBSCRIPTION:
            return refused(BadRequest(_WHERE_SUBSCRIPTIONS_RUN), operation.trace_id)
        return await self._execute(operation)

    async def subscribe(self, request: OperationRequest, actor: Actor, trace_id: str) -> AsyncGenerator[Answer]:
        """Answers of a subscription as they come; a query or mutation gives its one.

        An answer that is not ``executed`` is the last one: the operation was refused, or its stream failed (``LAGGED``
        and ``CURSOR_EXPIRED`` tell the cursor). Closing the iterator ends the subscription and closes its source.
        """
        operation = self.prepare(request, actor, trace_id)
        if isinstance(operation, Answer):
            yield operation
            return
        async with aclosing(self.follow(operation)) as answers:
            async for answer in answers:
                yield answer.parse()

    async def follow(self, operation: Operation, outlet: Outlet | None = None) -> AsyncGenerator[Answer]:
        """As ``subscribe``, of what ``prepare`` gave; answers that ``outlet`` takes are not yielded."""
        if operation.kind is not OperationType.SUBSCRIPTION:
            yield await self._execute(operation)
            return
        async with aclosing(self._live.follow(operation, outlet)) as answers:
            async for answer in answers:
                yield answer

    def prepare(
        self,
        request: OperationRequest,
        actor: Actor,
        trace_id: str,
        *,
        allow_mutations: bool = True,
        following: Following | None = None,
    ) -> Operation | Answer:
        """Read, limit, validate and authorise; all of it before anything waits or runs. The answer is a refusal.

        ``following`` says what the door wants of a subscription besides what the document says.
        """
        try:
            planned = self.planner.plan(request, actor)
            check_cost(planned.estimate, self._settings)
            check_asked(request, actor)
        except InvalidDocument as invalid:
            return Answer(errors=format_request_errors(invalid.errors, trace_id), executed=False)
        except LakefrontError as error:
            return refused(error, trace_id)
        except Exception as error:  # noqa: BLE001 - see below
            # A document that breaks the library must not break the door.
            return Answer(errors=format_exception(error, trace_id), executed=False, refusal=InternalError())
        operation = Operation(planned, actor, trace_id, following or Following())
        if operation.kind is OperationType.MUTATION and not allow_mutations:
            return refused(MethodNotAllowed("Mutations are not allowed by GET. Send this one by POST."), trace_id)
        return operation

    def renew(self, operation: Operation, actor: Actor) -> LakefrontError | None:
        """Go on with a subscription as ``actor``, its own with the rights of now; what is told is why it must end.

        Queries and mutations, which are over soon, go on as they began.
        """
        if operation.kind is not OperationType.SUBSCRIPTION:
            return None
        error = self._renew(operation, actor)
        self._live.renewed(operation, allowed=error is None)
        return error

    def _renew(self, operation: Operation, actor: Actor) -> LakefrontError | None:
        narrowed = (operation.actor.scopes - actor.scopes) & actor.own
        try:
            planned = self.planner.plan(operation.request, actor)
        except LakefrontError as error:
            return error
        if narrowed:
            return Forbidden("Your rights hold for your own rows only from now on. Subscribe again.")
        operation.actor, operation.planned = actor, planned
        return None

    async def _execute(self, operation: Operation) -> Answer:
        try:
            with operation.traced():
                await self.turns.take()
                try:
                    with self.guarded(operation.trace_id):
                        await self.take_request(operation)
                        answer = await self._answer(operation)
                        return self.extended(operation, answer)
                finally:
                    self.turns.release()
        except OperationTimeout as late:
            return timed_out(operation.planned.plan, late, operation.trace_id)
        except LakefrontError as error:
            return refused(error, operation.trace_id)

    def at_once(self, operation: Operation) -> Bound | None:
        """The statement that makes all of the answer, ready to run; ``None`` where it takes more than that.

        Whoever runs it has the answer by ``answer_of``, or by ``recover``; clock, turn and counting are theirs.
        """
        plan = operation.planned.plan
        if not plan.one_statement or asked_of(operation.request):
            return None
        return self.runner.statements.ready(operation.planned, operation.actor)

    def answer_of(self, operation: Operation, found: Sequence[Value]) -> bytes:
        """The answer, as JSON, that the statement ``found``."""
        plan = operation.planned.plan
        assert plan.compiled is not None, "only what is compiled has a statement"
        self.runner.tiers[plan.tier] += 1
        return b"".join((b'{"data":', *whole(plan, named(plan.compiled, found)), b"}"))

    async def recover(self, operation: Operation, failure: BaseException, seconds: float) -> Answer:
        """The answer where the statement failed: told at its fields, or given by resolvers within ``seconds``."""
        plan = operation.planned.plan
        try:
            with Guard(operation.trace_id, seconds):
                told = unread(failure)
                if told is None:
                    return await self._all_resolved(operation)
        except OperationTimeout as late:
            return timed_out(plan, late, operation.trace_id)
        except LakefrontError as error:
            return refused(error, operation.trace_id)
        return failed(plan, told, operation.trace_id)

    async def _answer(self, operation: Operation) -> Answer:
        """By the statement of the plan, by resolvers, or by both; by resolvers alone where the statement cannot."""
        plan = operation.planned.plan
        bound = await self.runner.bind(operation.planned, operation.actor)
        if bound is None:
            return await self._all_resolved(operation)
        mixed = plan.compiled is not None and plan.compiled.tree.below
        beside = None if plan.rest is None or mixed else asyncio.create_task(self._resolve(operation, plan.rest))
        try:
            values = await self.runner.read(operation.planned, bound)
            if values is not None:
                self.runner.tiers[plan.tier] += 1
                if plan.rest is None:
                    return Answer(raw=b"".join(whole(plan, values)), tier=plan.tier)
                rest = await (beside or self._resolve(operation, plan.rest, answered(plan, values)))
                return replace(joined(plan, values, rest), tier=plan.tier)
        except LakefrontError as error:
            return failed(plan, error, operation.trace_id)
        finally:
            if beside is not None and not beside.done():
                beside.cancel()
        return await self._all_resolved(operation)

    async def _all_resolved(self, operation: Operation) -> Answer:
        """By resolvers alone."""
        self.runner.tiers[3] += 1
        return replace(await self._resolve(operation, operation.document), tier=3)

    async def _resolve(self, operation: Operation, document: DocumentNode, known: Answered | None = None) -> Answer:
        """By resolvers; what is ``known`` already they are not asked for."""
        executor = self.executor(operation, document, known)
        if isinstance(executor, Answer):
            return executor
        return await run_to_end(executor, executor.execute_operation, operation.trace_id)

    def extended(self, operation: Operation, answer: Answer) -> Answer:
        """``answer`` with what its request asks to be told beside the data."""
        limit = self._settings.graphql_max_cost
        return extended(answer, operation.planned, operation.actor, self.runner.statements, limit)

    async def take_request(self, operation: Operation) -> None:
        """Count the operation against the tenant's day, unless it manages access; raises ``RateLimited``."""
        if not operation.planned.plan.manages_access:
            await self._services.allowances.take_request(self._services, operation.actor)

    def executor(
        self, operation: Operation, document: DocumentNode | None = None, known: Answered | None = None
    ) -> Executor[Any] | Answer:
        """graphql-core's executor with the variables coerced, or what is wrong with them.

        ``document`` stands for the operation's own where only a part of it is to be executed.
        """
        cls = StrawberryGraphQLCoreExecutionContext if known is None else MixedExecutor
        if operation.kind is OperationType.SUBSCRIPTION:
            cls = LiveExecutor
        built = cls.build(
            self.planner.schema,
            document or operation.document,
            root_value=known,
            middleware=None if known is None else [go_on],
            context_value=self.context_of(operation),
            raw_variable_values=operation.request.variables,
            operation_name=operation.request.operation_name,
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=True,
        )
        if isinstance(built, list):
            return Answer(errors=format_request_errors(built, operation.trace_id), executed=False)
        return built

    def context_of(self, operation: Operation) -> Any:
        """What resolvers see, anew for each operation and event."""
        return self._context(self._services, operation.actor, operation.trace_id, operation.following, self.planner)

    def guarded(self, trace_id: str) -> Guard:
        """Within ``graphql_timeout``, or ``OperationTimeout``; other failures come out as ``LakefrontError``s."""
        return Guard(trace_id, self._settings.graphql_timeout)
