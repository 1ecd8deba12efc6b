"""The ready-made operations are valid on the schema as it is, and so are their variables."""

import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, OperationType, build_schema, parse, validate
from graphql.execution.values import get_variable_values

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "console" / "src" / "examples").glob("*.graphql"))


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_with_its_variables(schema: GraphQLSchema, path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8"))
    assert validate(schema, document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None, "its tab is named after it"
    given = path.with_suffix(".json")
    variables = json.loads(given.read_text(encoding="utf-8")) if given.exists() else {}
    assert variables.keys() == {variable.variable.name.value for variable in operation.variable_definitions or ()}
    assert not isinstance(get_variable_values(schema, operation.variable_definitions or (), variables), list)


def test_there_is_one_of_each_kind_and_the_page_lists_them_all() -> None:
    kinds = set()
    listed = (ROOT / "console" / "src" / "examples.js").read_text(encoding="utf-8")
    for path in EXAMPLES:
        assert f"['{path.stem}'," in listed
        [operation] = parse(path.read_text(encoding="utf-8")).definitions
        assert isinstance(operation, OperationDefinitionNode)
        kinds.add(operation.operation)
    assert kinds == set(OperationType)
