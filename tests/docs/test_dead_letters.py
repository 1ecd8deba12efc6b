"""The page of dead letters: its documents hold, and it names every code that a letter may have by itself."""

import re

from graphql import parse, validate

from lakefront.domain.outbox import outcome
from lakefront.graphql.schema import build_schema
from tests.process import ROOT

PAGE = (ROOT / "docs" / "dead-letters.md").read_text(encoding="utf-8")


def test_its_documents_are_valid() -> None:
    documents = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)
    assert len(documents) == 4
    schema = build_schema()._schema
    for document in documents:
        assert validate(schema, parse(document)) == [], document


def test_it_tells_what_to_do_about_each_code() -> None:
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    decided = {kind.code for kind in (*outcome._REFUSED, *outcome._OPERATORS)}
    assert decided | {"upstream_error", "unavailable", "rate_limited"} <= told
