"""One operation on both: the compiled plans' answer must be that of plain Strawberry, the oracle."""

import json
from collections import Counter
from collections.abc import Iterator
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
    if differing and (other := without_blamed(request, told(expected), told(answer))) is not None:
        rest = told(await plain.execute(other, asker.actor, TRACE))
        differing = differing if blamed(rest) != blamed(told(answer)) else []
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


def without_blamed(
    request: OperationRequest, expected: dict[str, Any], answered: dict[str, Any]
) -> OperationRequest | None:
    """The request without the root field that ``expected`` blames, where ``answered`` blames another; data is null.

    Where two root fields fail that may not be null, either of them may be told (the specification's "Handling Field
    Errors"): without the one, it must be the other. None where the two differ in another way.
    """
    paths = [
        each["errors"][0].get("path")
        for each in (expected, answered)
        if each.get("data", "none") is None and len(each["errors"]) == 1
    ]
    if len(paths) < 2 or not all(paths) or paths[0][0] == paths[1][0]:
        return None
    document = print_ast(visit(parse(request.document), _Skipping(paths[0][0])))
    return OperationRequest(document, request.operation_name, request.variables)


def blamed(read: dict[str, Any]) -> list[Any]:
    """Its errors, but for where they are in the text."""
    return [{name: value for name, value in error.items() if name != "locations"} for error in read["errors"]]


class _Skipping(Visitor):
    """Skips the root fields of one response key; variables stay used."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key
        self._depth = 0

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> Any:
        return None if node.type_condition.name.value == "Query" else SKIP

    def enter_field(self, *_: Any) -> None:
        self._depth += 1

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        self._depth -= 1
        if self._depth or (node.alias or node.name).value != self._key:
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
