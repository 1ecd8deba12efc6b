"""One operation on both: the compiled plans' answer must be that of plain Strawberry, the oracle."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Final

from graphql import (
    SKIP,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from tests.graphql.fuzz.operations import Drawn
from tests.graphql.fuzz.world import Asker, World

TRACE: Final = "fuzz"

INSIDE: Final = "tier 2"
"""Python fields in rows that SQL read."""

BESIDE: Final = "tier 2, beside"
"""Python fields at the root alone."""

Path = tuple[str | int, ...]


class Difference(AssertionError):
    """Two tiers gave different answers."""


async def compare(world: World, asker: Asker, drawn: Drawn) -> list[str]:
    """What ran each of the compiled operations: ``tier 1``, ``INSIDE``, … ``refused``; raises ``Difference``.

    They are two where there are other values for the variables: then by the same plan, and mostly the same statement.
    """
    requests = [
        OperationRequest(drawn.document, drawn.operation_name, values)
        for values in (drawn.variables, drawn.others)
        if values is drawn.variables or values
    ]
    return [await _compare(world, asker, request) for request in requests]


async def _compare(world: World, asker: Asker, request: OperationRequest) -> str:
    compiled, plain = world.tiers[asker.forbidden_fields]
    operation = compiled.prepare(request, asker.actor, TRACE)
    answer = operation if isinstance(operation, Answer) else await compiled.run(operation)
    ran = "refused" if answer.tier is None else f"tier {answer.tier}"
    if ran == INSIDE and isinstance(operation, Operation):
        plan = operation.planned.plan
        ran = INSIDE if plan.compiled is not None and plan.compiled.tree.below else BESIDE
    expected = await plain.execute(request, asker.actor, TRACE)
    differing = list(differences(told(expected), told(answer)))
    if differing:
        again = await plain.execute(request, asker.actor, TRACE)
        moving = list(differences(told(expected), told(again)))
        differing = [path for path in differing if path not in moving]
    failed = [one for one in (answer, expected) if "INTERNAL_ERROR" in str(one.errors)]
    if differing and await _either(plain, asker, request, told(expected), told(answer)):
        differing = []
    if differing or failed:
        where = ", ".join(".".join(map(str, path)) or "(top)" for path in differing[:5]) or "no place, but fails"
        lines = (
            f"{asker.actor.subject} of {asker.actor.tenant} ({ran}) is answered otherwise at {where}",
            f"document: {request.document}",
            f"variables: {json.dumps(request.variables)}",
            f"compiled: {answer.encode().decode()[:3000]}",
            f"plain: {expected.encode().decode()[:3000]}",
        )
        raise Difference("\n".join(lines))
    return ran


async def _either(
    plain: Operations, asker: Asker, request: OperationRequest, expected: dict[str, Any], answered: dict[str, Any]
) -> bool:
    """Whether the two are but two ways to tell why there is no data at all.

    Where several root fields fail and one may not be null, which errors are told besides its own, and whose, is a
    matter of what was done first (the specification's "Handling Field Errors"). So whatever only one of them tells
    must be told without the root fields that the other one blames.
    """
    if any(each.get("data", "none") is not None or not each["errors"] for each in (expected, answered)):
        return False
    return await _told_without(plain, asker, request, answered, expected) and await _told_without(
        plain, asker, request, expected, answered
    )


async def _told_without(
    plain: Operations, asker: Asker, request: OperationRequest, one: dict[str, Any], other: dict[str, Any]
) -> bool:
    """Whether plain Strawberry tells the errors of ``one`` alone once the root fields that ``other`` blames are out."""
    roots = {(error.get("path") or [None])[0] for error in other["errors"]}
    more = [error for error in blamed(one) if error not in blamed(other) and error.get("path", [None])[0] not in roots]
    if None in roots:
        return False
    if not more:
        return True
    document = print_ast(visit(parse(request.document), _Skipping(roots)))
    rest = await plain.execute(
        OperationRequest(document, request.operation_name, request.variables), asker.actor, TRACE
    )
    return any(error in blamed(told(rest)) for error in more)


def blamed(read: dict[str, Any]) -> list[Any]:
    """Its errors, but for where they are in the text."""
    return [{name: value for name, value in error.items() if name != "locations"} for error in read["errors"]]


class _Skipping(Visitor):
    """Skips the root fields of these response keys; variables stay used."""

    def __init__(self, keys: Collection[str]) -> None:
        super().__init__()
        self._keys = keys
        self._depth = 0

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> Any:
        return None if node.type_condition.name.value == "Query" else SKIP

    def enter_field(self, *_: Any) -> None:
        self._depth += 1

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        self._depth -= 1
        if self._depth or (node.alias or node.name).value not in self._keys:
            return None
        others = tuple(each for each in node.directives or () if each.name.value != "skip")
        return replace(node, directives=(*others, *_skip()))


def _skip() -> tuple[DirectiveNode, ...]:
    [operation] = parse("{ it @skip(if: true) }").definitions
    assert isinstance(operation, OperationDefinitionNode)
    return tuple(operation.selection_set.selections[0].directives or ())


def told(answer: Answer) -> dict[str, Any]:
    """What a client reads, and whether it was executed; raises ``Difference`` for a name that is there twice."""
    read: dict[str, Any] = json.loads(answer.encode(), object_pairs_hook=_once)
    for error in read.get("errors", ()):
        error["extensions"].pop("timestamp", None)
        error["extensions"].pop("cost", None)
    errors = read.pop("errors", [])
    read["errors"] = sorted(errors, key=lambda error: json.dumps(error, sort_keys=True))
    return {**read, "executed": answer.executed}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise Difference(f"an object has {twice} more than once: {pairs}")
    return dict(pairs)


def differences(one: Any, other: Any, path: Path = ()) -> Iterator[Path]:
    """Where the two differ: values (1 equals 1.0, not true), lengths of lists, names and their order."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            yield path
        for name in one.keys() & other.keys():
            yield from differences(one[name], other[name], (*path, name))
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield path
        for index, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, (*path, index))
    elif one != other or isinstance(one, bool) is not isinstance(other, bool):
        yield path
