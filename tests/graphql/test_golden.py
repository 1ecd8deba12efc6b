"""Golden operations: document, variables, whoever asks, plan, SQL and answer, side by side in ``golden/*.md``.

``make golden`` writes the last three anew: read the difference, then commit it. What resolvers read for the same answer
is told where a file has a block ``resolvers``.
"""

import json
import os
import re
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.explain import explain
from lakefront.graphql.schema import DOMAINS, build_schema
from tests.actors import of_role
from tests.city import START, insert
from tests.graphql.conftest import RecordingDatabase
from tests.graphql.fuzz import events
from tests.graphql.fuzz.compare import differences, told
from tests.graphql.standing import STANDING, Standing

city, recorder, services, standing = STANDING  # nothing here changes what is in it

FILES = sorted((Path(__file__).parent / "golden").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
MADE: Final = ("plan", "sql", "resolvers", "json")
FIRST_MADE = re.compile(rf"^```(?:{'|'.join(MADE)})\n", re.MULTILINE)
CLAUSE = re.compile(r" (ORDER BY|GROUP BY|LIMIT|UNION ALL|(?:LEFT OUTER )?JOIN) ")
AROUND = re.compile(r"^SELECT CASE WHEN .*?\nFROM \((.*)\) AS q\) END AS \w+$", re.DOTALL)
COLUMNS = re.compile(r"\b(\w+)\.\"?\w+\"? AS \"?\w+\"?(?:, \1\.\"?\w+\"? AS \"?\w+\"?)+")


_IMPORT: Final = {
    "import_id": "i1",
    "dataset": "nyc_311",
    "city": "nyc",
    "state": "DONE",
    "place": "{}",
    "problems": json.dumps([{"row": "7", "field": "created_date", "message": "It is no time."}]),
    "requested_by": "lakefront",
    "trace_id": "t",
}


@pytest.fixture(scope="module")
async def more(standing: Standing) -> AsyncIterator[None]:
    """An import, and service requests of two people and of nobody, as long as the tests of this file run."""
    connection = await asyncpg.connect(standing.services.database.dsn)
    await insert(connection, "open_data_imports", [_IMPORT])
    await insert(connection, "service_requests", [_reported(number) for number in range(6)])
    yield
    await connection.execute("DELETE FROM lakefront.service_requests; DELETE FROM lakefront.open_data_imports")
    await connection.close()


def _reported(number: int) -> dict[str, Any]:
    at = START + timedelta(days=number)
    return {
        "request_id": f"sr-{number}",
        "city": "nyc",
        "provider": "nyc311",
        "source": "lakefront",
        "owner": ("ada", "bob", None)[number % 3],
        "state": "OPEN",
        "state_at": at,
        "reported_at": at,
        "version": 1,
        "test": False,
        "trace_id": "t",
        "attributes": "{}",
    }


class Ran(NamedTuple):
    """What an operation was answered, and the statements that it took."""

    answers: list[Answer]
    statements: list[LoggedQuery]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_golden(services: Services, recorder: RecordingDatabase, actor: Actor, more: None, file: Path) -> None:
    text = file.read_text(encoding="utf-8")  # noqa: ASYNC240 - a test may wait for its disk
    blocks = {match[1]: match[2] for match in BLOCK.finditer(text)}
    request = OperationRequest(blocks["graphql"], variables=json.loads(blocks.get("variables", "{}")))
    asking = of_role(**json.loads(blocks["actor"])) if "actor" in blocks else actor
    schema, watched = build_schema((*DOMAINS, events)), replace(services, database=recorder)
    compiled, plain = (
        Operations(schema, watched, Context.for_operation, permission, compiled=each) for each in (True, False)
    )
    ran, resolved = [await _run(each, request, asking, recorder) for each in (compiled, plain)]
    pairs = zip(resolved.answers, ran.answers, strict=True)
    assert not [each for one, other in pairs for each in differences(told(one), told(other))], "resolvers do otherwise"
    made = {
        "plan": _plan(compiled, request, asking),
        "sql": "\n\n".join(map(_sql, ran.statements)) + "\n",
        "resolvers": "\n\n".join(sorted(map(_short, resolved.statements))) + "\n" if "resolvers" in blocks else "",
        "json": "\n".join(map(_answer, ran.answers)),
    }
    wanted = {kind: made[kind] for kind in MADE if kind != "resolvers" or kind in blocks}
    if os.environ.get("REWRITE_GOLDEN"):
        head = FIRST_MADE.split(text)[0].rstrip() + "\n\n"
        body = "\n".join(f"```{kind}\n{part}```\n" for kind, part in wanted.items())
        file.write_text(head + body, encoding="utf-8")  # noqa: ASYNC240
        return
    assert {kind: body for kind, body in blocks.items() if kind in MADE} == wanted


async def _run(operations: Operations, request: OperationRequest, actor: Actor, recorder: RecordingDatabase) -> Ran:
    recorder.statements.clear()
    answers = [answer async for answer in operations.subscribe(request, actor, "trace")]
    return Ran(answers, recorder.statements.copy())


def _plan(operations: Operations, request: OperationRequest, actor: Actor) -> str:
    """Tier, cost and scopes, and why a root field is not compiled; nothing where it is refused beforehand."""
    try:
        planned = operations.planner.plan(request, actor)
    except LakefrontError as error:
        return f"none: {error.code}\n"
    found = explain(planned, operations.runner.statements, actor)
    lines = [f"tier {found.tier}, cost {found.estimate.total}, needs {' '.join(found.permissions) or 'nothing'}"]
    lines += [f"{each.path}: {each.reason}" for each in found.fields if each.reason is not None]
    return "\n".join(lines) + "\n"


def _answer(answer: Answer) -> str:
    body = answer.payload()
    for error in body.get("errors", ()):
        del error["extensions"]["timestamp"]
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _sql(statement: LoggedQuery) -> str:
    """A clause a line, and the values."""
    lines = CLAUSE.sub(r"\n\1 ", statement.query).splitlines()
    return "\n".join([*_wrapped(lines), *_values(statement, 0)])


def _short(statement: LoggedQuery) -> str:
    """What is not the same in every statement of resolvers, and its values; ``a.*`` stands for a source's columns."""
    match = AROUND.fullmatch(statement.query)
    assert match, statement.query
    short = COLUMNS.sub(r"\1.*", match[1])
    lines = re.sub(r" ((?:ORDER|GROUP) BY|JOIN) ", r"\n\1 ", short).splitlines()
    return "\n".join([*_wrapped(lines), *_values(statement, 2)])


def _wrapped(lines: list[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line.strip(), 116, subsequent_indent="    ")]


def _values(statement: LoggedQuery, after: int) -> list[str]:
    return [f"-- ${place}: {value!r}" for place, value in enumerate(statement.args, 1) if place > after]
