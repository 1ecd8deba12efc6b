"""Golden plans: document, variables, plan, the SQL that ran and the answer, side by side in ``golden/*.md``.

``make golden`` writes the last three anew: read the difference, then commit it.
"""

import json
import os
import re
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from asyncpg.connection import LoggedQuery

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.graphql.answers import Answer, OperationRequest
from lakefront.graphql.context import Context
from lakefront.graphql.declare import permission
from lakefront.graphql.operation import Operation
from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.explain import explain
from lakefront.graphql.schema import build_schema
from tests.graphql.conftest import RecordingDatabase
from tests.graphql.fuzz.compare import differences, told
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

FILES = sorted((Path(__file__).parent / "golden").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
CLAUSE = re.compile(r" (ORDER BY|GROUP BY|LIMIT|UNION ALL|(?:LEFT OUTER )?JOIN) ")


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_golden(services: Services, recorder: RecordingDatabase, city: None, actor: Actor, file: Path) -> None:
    text = file.read_text(encoding="utf-8")  # noqa: ASYNC240 - a test may wait for its disk
    blocks = [(match[1], match[2]) for match in BLOCK.finditer(text)]
    document = next(body for kind, body in blocks if kind == "graphql")
    variables = json.loads(next((body for kind, body in blocks if kind == "variables"), "{}"))
    operations, plain = (
        Operations(build_schema(), each, Context.for_operation, permission, compiled=compiled)
        for each, compiled in ((replace(services, database=recorder), True), (services, False))
    )
    request = OperationRequest(document, variables=variables)
    operation = operations.prepare(request, actor, "trace")
    assert isinstance(operation, Operation)
    answer = await operations.execute(request, actor, "trace")
    made = {
        "plan": _plan(operations, operation),
        "sql": "\n\n".join(_sql(statement) for statement in recorder.statements) + "\n",
        "json": _answer(answer),
    }
    expected = await plain.execute(request, actor, "trace")
    assert list(differences(told(expected), told(answer))) == [], "resolvers answer otherwise"
    if os.environ.get("REWRITE_GOLDEN"):
        head = text.partition("```plan\n")[0].rstrip() + "\n\n"
        body = "\n".join(f"```{kind}\n{part}```\n" for kind, part in made.items())
        file.write_text(head + body, encoding="utf-8")  # noqa: ASYNC240
        return
    assert {kind: body for kind, body in blocks if kind in made} == made


def _plan(operations: Operations, operation: Operation) -> str:
    """Tier, cost and scopes, and why a root field is not compiled."""
    found = explain(operation.planned, operations.runner.statements, operation.actor)
    lines = [f"tier {found.tier}, cost {found.estimate.total}, needs {' '.join(found.permissions) or 'nothing'}"]
    lines += [f"{each.path or each.cost.path}: {each.reason}" for each in found.fields if each.reason is not None]
    return "\n".join(lines) + "\n"


def _answer(answer: Answer) -> str:
    body = answer.payload()
    for error in body.get("errors", ()):
        del error["extensions"]["timestamp"]
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _sql(statement: LoggedQuery) -> str:
    """A clause a line, and the values."""
    lines = CLAUSE.sub(r"\n\1 ", statement.query).splitlines()
    wrapped = [part for line in lines for part in textwrap.wrap(line.strip(), 116, subsequent_indent="    ")]
    return "\n".join([*wrapped, *(f"-- ${place}: {value!r}" for place, value in enumerate(statement.args, 1))])
