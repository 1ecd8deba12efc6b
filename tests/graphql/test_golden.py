"""Golden operations: document, variables, the SQL that resolvers ran and the answer, in ``golden/*.md``.

``REWRITE_GOLDEN=1 pytest tests/graphql/test_golden.py`` writes the last two anew: read the difference, then commit it.
"""

import json
import os
import re
import textwrap
from pathlib import Path

import pytest
from asyncpg.connection import LoggedQuery

from tests.graphql.conftest import Ask, RecordingDatabase
from tests.graphql.standing import STANDING

city, recorder, services, standing = STANDING  # nothing here changes the city

FILES = sorted((Path(__file__).parent / "golden").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
AROUND = re.compile(r"^SELECT CASE WHEN .*?\nFROM \((.*)\) AS q\) END AS \w+$", re.DOTALL)
COLUMNS = re.compile(r"\b(\w+)\.\"?\w+\"? AS \"?\w+\"?(?:, \1\.\"?\w+\"? AS \"?\w+\"?)+")


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_golden(ask_resolvers: Ask, city: None, recorder: RecordingDatabase, file: Path) -> None:
    text = file.read_text(encoding="utf-8")  # noqa: ASYNC240 - a test may wait for its disk
    blocks = [(match[1], match[2]) for match in BLOCK.finditer(text)]
    document = next(body for kind, body in blocks if kind == "graphql")
    variables = json.loads(next((body for kind, body in blocks if kind == "variables"), "{}"))
    answer = await ask_resolvers(document, **variables)
    for error in answer.get("errors", ()):
        del error["extensions"]["timestamp"]
    made = {
        "sql": "\n\n".join(sorted(_sql(statement) for statement in recorder.statements)) + "\n",
        "json": json.dumps(answer, indent=2, ensure_ascii=False) + "\n",
    }
    if os.environ.get("REWRITE_GOLDEN"):
        head = (
            text[: match.start()] if (match := re.search(r"^```sql\n", text, re.MULTILINE)) else text.rstrip() + "\n\n"
        )
        file.write_text(f"{head}```sql\n{made['sql']}```\n\n```json\n{made['json']}```\n", encoding="utf-8")  # noqa: ASYNC240
        return
    assert {kind: body for kind, body in blocks if kind in made} == made


def _sql(statement: LoggedQuery) -> str:
    """What is not the same in every statement, and its values; ``a.*`` stands for a source's columns."""
    match = AROUND.fullmatch(statement.query)
    assert match, statement.query
    short = COLUMNS.sub(r"\1.*", match[1])
    lines = re.sub(r" ((?:ORDER|GROUP) BY|JOIN) ", r"\n\1 ", short).splitlines()
    wrapped = [part for line in lines for part in textwrap.wrap(line.strip(), 116, subsequent_indent="    ")]
    values = [f"-- ${place}: {value!r}" for place, value in enumerate(statement.args, 1) if place > 2]
    return "\n".join([*wrapped, *values])
