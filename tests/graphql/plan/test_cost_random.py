"""What random operations cost: as a naive count says, however they are written, and no less than their answers."""

from typing import Any

from graphql import parse
from hypothesis import given
from hypothesis import strategies as st

from lakefront.graphql.plan.cost import formula
from lakefront.graphql.weights import COUNT
from tests.graphql.plan.test_cost import SMALL, operation_of

WEIGHTS = {"name": 1, "tags": 1, "dear": 50, "totalCount": COUNT, "cursor": 1, "edges": 0}
OBJECTS = {"parts": "Thing", "others": "Thing", "some": "Thing", "pages": "Pages"}

Node = tuple[str, str, int | None, str | None, tuple[Any, ...]]
"""A field of a random document: name, alias, size (as literal), variable that says the size, what is in it."""


@st.composite
def selections(draw: Any, kind: str = "Thing", depth: int = 3) -> tuple[Node, ...]:
    names = {
        "Thing": ["name", "tags", "dear", *(OBJECTS if depth else [])],
        "Pages": ["totalCount", "nodes", "edges"],
        "Edge": ["cursor", "node"],
    }[kind]
    found: list[Node] = []
    for index in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(names))
        size = draw(st.none() | st.integers(0, 6)) if name in {"some", "pages"} else None
        by = draw(st.none() | st.sampled_from(["n", "m"])) if name in {"some", "pages"} else None
        below = {"nodes": "Thing", "node": "Thing", "edges": "Edge", **OBJECTS}.get(name)
        inner = draw(selections(below, depth - (below == "Thing"))) if below and depth else ()
        if below and not inner:
            name, inner = ("totalCount" if kind == "Pages" else "cursor" if kind == "Edge" else "name"), ()
        found.append((name, f"f{index}", size, by, inner))
    return tuple(found)


def written(nodes: tuple[Node, ...]) -> str:
    texts = []
    for name, alias, size, by, inner in nodes:
        asked = f"${by}" if by else size
        arguments = f"(first: {asked})" if asked is not None and name in {"some", "pages"} else ""
        texts.append(f"{alias}: {name}{arguments}" + (f" {{ {written(inner)} }}" if inner else ""))
    return " ".join(texts)


def counted(nodes: tuple[Node, ...], around: int, variables: dict[str, int], page: int = 0) -> int:
    """The naive oracle: every field by itself, all that is around it multiplied."""
    total = 0
    for name, _, size, by, inner in nodes:
        asked = variables[by] if by else size
        rows = {"parts": 5, "others": 10, "some": 3 if asked is None else asked, "nodes": page, "edges": page}.get(
            name, 1
        )
        inside = min(1000, 20 if asked is None else asked) if name == "pages" else 0
        total += around * rows * WEIGHTS.get(name, 1) + counted(inner, around * rows, variables, inside)
    return total


def answered(draw: Any, nodes: tuple[Node, ...], variables: dict[str, int], page: int = 0) -> dict[str, Any]:
    """A random answer whose lists are no longer than they were said or taken to be."""
    data: dict[str, Any] = {}
    for name, alias, size, by, inner in nodes:
        asked = variables[by] if by else size
        most = {"parts": 5, "others": 10, "some": 3 if asked is None else asked, "nodes": page, "edges": page}.get(name)
        inside = min(1000, 20 if asked is None else asked) if name == "pages" else 0
        if not inner:
            data[alias] = draw(st.sampled_from([None, 1, ["a", "b", "c"]]))
        elif most is None:
            data[alias] = draw(st.none()) if draw(st.booleans()) else answered(draw, inner, variables, inside)
        else:
            rows = draw(st.integers(0, min(most, 2)))
            data[alias] = [answered(draw, inner, variables, inside) for _ in range(rows)]
    return data


@given(selections(), st.fixed_dictionaries({"n": st.integers(0, 2000), "m": st.integers(0, 9)}))
def test_random_operations_cost_what_a_naive_count_says(nodes: tuple[Node, ...], variables: dict[str, int]) -> None:
    text = f"query ($n: Int! = 1, $m: Int! = 1) {{ thing {{ {written(nodes)} }} }}"
    of = formula(SMALL, parse(text), operation_of(parse(text)), conditions={})
    estimate = of.estimate(variables)
    assert estimate.total == 1 + counted(nodes, 1, variables)
    assert sum(field.total for field in estimate.fields()) == estimate.total
    assert estimate.path.startswith("thing")


@given(st.data())
def test_a_fragmented_operation_costs_what_its_fields_do(data: st.DataObject) -> None:
    nodes = data.draw(selections())
    cut = data.draw(st.integers(0, len(nodes)))
    plain = f"query ($n: Int! = 1, $m: Int! = 1) {{ thing {{ {written(nodes)} }} }}"
    spread = f"""query ($n: Int! = 1, $m: Int! = 1) {{ thing {{ ...F ... {{ ...F ...F }} ...F }} ...G ...G }}
        fragment G on Query {{ thing {{ {written(nodes[:cut]) or "__typename"} ... on Thing {{ ...F }} }} }}
        fragment F on Thing {{ {written(nodes)} __typename }}"""
    costs = [
        formula(SMALL, parse(text), operation_of(parse(text)), conditions={}).estimate({}).total
        for text in (plain, spread)
    ]
    assert costs[0] == costs[1]


@given(st.data())
def test_an_answer_costs_at_most_what_was_estimated(data: st.DataObject) -> None:
    nodes = data.draw(selections())
    variables = {"n": data.draw(st.integers(0, 5)), "m": data.draw(st.integers(0, 5))}
    text = f"query ($n: Int! = 1, $m: Int! = 1) {{ thing {{ {written(nodes)} }} }}"
    of = formula(SMALL, parse(text), operation_of(parse(text)), conditions={})
    answer = {"thing": answered(data.draw, nodes, variables)}
    assert of.actual(answer) <= of.estimate(variables).total
