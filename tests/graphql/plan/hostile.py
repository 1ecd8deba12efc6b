"""Requests that are made to cost: of every kind, each as large as the limits let in and larger, on the real schema."""

from collections.abc import Iterator
from typing import Any

from lakefront.graphql.answers import OperationRequest
from lakefront.settings import Settings


def many(count: int, part: str, before: str = "{", after: str = "}") -> str:
    """``part`` repeated with its number for ``#``."""
    return before + " ".join(part.replace("#", str(number)) for number in range(count)) + after


def nested(levels: int, opening: str, inner: str, closing: str) -> str:
    """``inner`` within so many levels."""
    return opening * levels + inner + closing * levels


def fan_out(levels: int, leaf: str = "__typename") -> str:
    """A document of 2^levels fields."""
    steps = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels)]
    return " ".join(["{ ...f0 }", *steps, f"fragment f{levels} on Query {{ {leaf} }}"])


def chain(levels: int) -> str:
    """Fragments each of which uses the next."""
    steps = (f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(levels))
    return " ".join(["{ ...f0 }", *steps, f"fragment f{levels} on Query {{ __typename }}"])


def _texts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Documents that are long or have many tokens, whatever they mean."""
    room = settings.graphql_max_document - 100
    for name, part in {
        "commas": ",",
        "lines": "\n",
        "comments": "#\n",
        "long comments": "#" + "é" * 99 + "\n",
        "braces": "{",
        "brackets": "[",
        "parentheses": "(",
        "quotes": '"',
        "block quotes": '""' + '"',
        "names": "a ",
        "numbers": "1 ",
        "at signs": "@",
        "backslashes": "\\",
        "signs that are none": "\x00",
        "spreads": "...",
    }.items():
        yield f"{name}, a megabyte", "{ __typename }" + part * (1_000_000 // len(part.encode()))
        yield f"{name}, all that is let in", "{ __typename }" + part * (room // len(part.encode()))
    yield "one name", "{" + "a" * room + "}"
    yield "one number", "{ permits(first: " + "9" * room + ") { totalCount } }"
    yield "one fraction", "{ permits(first: 1." + "9" * (room - 10) + "e999999) { totalCount } }"
    yield "one string", '{ permit(permitId: "' + "a" * room + '") { status } }'
    yield "one string of escapes", '{ permit(permitId: "' + "\\u00e9" * (room // 6) + '") { status } }'
    yield "one block string", '{ permit(permitId: """' + "\n a" * (room // 3) + '""") { status } }'
    yield "a string that does not end", '{ permit(permitId: "' + "a" * room
    yield "a block string that does not end", '{ permit(permitId: """' + "\n" * room


def _shapes() -> Iterator[tuple[str, str]]:
    """Documents of just below 3,000 tokens, and of far more, with something that multiplies."""
    for count in (10, 100, 400, 1000, 10_000):
        yield from _lists(count)
        yield from _fragments(count)
        yield from _levels(count)


def _lists(count: int) -> Iterator[tuple[str, str]]:
    """Many of one thing beside each other."""
    yield f"{count} directives", "{ __typename " + "@skip(if: false) " * count + "}"
    yield f"{count} unknown directives", "{ __typename " + "@a" * count + "}"
    yield f"{count} aliases", many(count, "a#: __typename")
    yield f"{count} operations", many(count, "query q# { __typename }", "", "")
    yield f"{count} operations of one name", many(count, "query q { __typename }", "", "")
    yield f"{count} variables", many(count, "$v#: Int", "query(", ") { __typename }")
    yield f"{count} variables of unknown types", many(count, "$v#: T#", "query(", ") { __typename }")
    yield (
        f"{count} undefined variables",
        "{" + many(count, "$v#", "permits(filter: {permitId: {in: [", "]}})") + "}",
    )
    yield f"{count} fields", "{ permits { nodes " + many(count, "status") + "} }"
    yield f"{count} unknown fields", "{ permits { nodes " + many(count, "statu#") + "} }"
    yield f"{count} unknown fields at the root", many(count, "permit#")
    yield f"{count} fields without a selection", many(count, "permits")
    yield f"{count} unknown arguments", "{" + many(count, "firs#: 1", "permits(", ") { totalCount }") + "}"
    yield f"{count} times one argument", "{" + many(count, "first: 1", "permits(", ") { totalCount }") + "}"
    yield f"{count} wrong arguments", many(count, 'permits(first: "#") { totalCount }')
    yield (
        f"{count} unknown input fields",
        "{ permits(filter: {" + many(count, "statu#: 1", "", "}) { totalCount } }"),
    )
    yield f"{count} input fields twice", "{ permits(filter: {" + many(count, "status: 1", "", "}) { totalCount } }")
    yield (
        f"{count} wrong items",
        "{ permits(filter: {estimatedCost: {in: [" + many(count, '"#"', "", "]}}) { totalCount } }"),
    )
    yield (
        f"{count} wrong values of an enum",
        "{ permits(orderBy: [" + many(count, "{status: UP#}", "", "]) { totalCount } }"),
    )


def _fragments(count: int) -> Iterator[tuple[str, str]]:
    """Fragments and fields that meet, or lead to each other."""
    yield f"{count} unknown fragments", many(count, "...f#")
    yield f"{count} unknown types", many(count, "... on T# { __typename }")
    yield (
        f"{count} spreads that cannot be",
        "{ permits { nodes " + many(count, "... on Query { __typename }") + "} }",
    )
    yield (
        f"{count} unused fragments",
        "{ __typename } " + many(count, "fragment f# on Query { __typename }", "", ""),
    )
    yield f"{count} types", many(count, "type A# { a: Int }", "", "")
    yield f"{count} fields of one name", many(count, "permits { nodes { status } }")
    yield f"{count} conflicts", many(count, "permits(first: #) { totalCount }")
    yield f"{count} conflicts below", many(count, "permits { nodes { events(first: #) { totalCount } } }")
    yield (
        f"{count} fragments of one field",
        many(count, "...f#") + many(count, "fragment f# on Query { permits { totalCount } }", "", ""),
    )
    yield (
        f"{count} fragments in conflict",
        many(count, "...f#") + many(count, "fragment f# on Query { permits(first: #) { totalCount } }", "", ""),
    )
    yield (
        f"{count} fragments on an interface",
        "{ node(id: 1) "
        + many(count, "...f# ... on Permit { a: status }")
        + "}"
        + many(count, "fragment f# on Node { id ... on PermitEvent { a: eventId } }", "", ""),
    )
    yield f"a chain of {count}", chain(count)
    yield (
        f"a cycle of {count}",
        "{ ...f0 }"
        + many(count, "fragment f# on Query { __typename ...g# }", "", "")
        + " ".join(f"fragment g{n} on Query {{ ...f{(n + 1) % count} }}" for n in range(count)),
    )
    yield f"a fan-out of {count}", fan_out(count)


def _levels(count: int) -> Iterator[tuple[str, str]]:
    """One thing within the other."""
    yield (
        f"{count} levels of fields",
        "{ permits { nodes { events { nodes" + nested(count, "{ permit", "", "}") + "} } } }",
    )
    yield f"{count} levels of inline fragments", nested(count, "{ ...", "{ __typename }", "}")
    yield f"{count} levels of lists", "{ permits(filter: " + nested(count, "[", "", "]") + ") { totalCount } }"
    yield (
        f"{count} levels of input",
        "{ permits(filter: " + nested(count, "{not: ", "{}", "}") + ") { totalCount } }",
    )
    yield (
        f"{count} levels of and",
        "{ permits(filter: " + nested(count, "{and: [", "{}", "]}") + ") { totalCount } }",
    )
    yield f"{count} levels of a type", "query($a: " + nested(count, "[", "Int", "]") + ") { __typename }"
    yield f"{count} levels of a default", "query($a: JSON = " + nested(count, "[", "", "]") + ") { __typename }"
    yield f"{count} levels of ofType", "{ __schema { types " + nested(count, "{ ofType ", "{ name }", "}") + "} }"
    yield f"{count} introspections", many(count, "a#: __schema { types { name } }")


def documents(settings: Settings) -> dict[str, str]:
    """Documents by what is wrong with them; each is refused or, being merely large, harmless."""
    return {**dict(_texts(settings)), **dict(_shapes())}


FILTERED = "query($filter: PermitFilter) { permits(filter: $filter) { totalCount } }"
INGEST = "mutation($events: [PermitEventInput!]!) { ingestPermitEvents(events: $events) { accepted } }"
ORDERED = "query($order: [PermitOrder!]) { permits(orderBy: $order) { totalCount } }"


def _deep(levels: int, key: str | None, inner: Any) -> Any:
    for _ in range(levels):
        inner = [inner] if key is None else {key: inner}
    return inner


def requests() -> dict[str, OperationRequest]:
    """Harmless documents with variables of up to a megabyte."""
    event = {
        "eventId": "e",
        "permitId": "p",
        "eventType": "PERMIT_FILED",
        "timestamp": "2024-01-01T00:00:00Z",
        "eventData": {},
    }
    wide: dict[str, tuple[str, Any]] = {
        "many ids": (FILTERED, {"permitId": {"in": ["a"] * 240_000}}),
        "many numbers": (FILTERED, {"estimatedCost": {"in": [1] * 480_000}}),
        "many numbers that are none": (FILTERED, {"estimatedCost": {"in": ["a"] * 240_000}}),
        "many times": (FILTERED, {"filedAt": {"in": ["2024-01-01T00:00:00Z"] * 40_000}}),
        "many conditions": (FILTERED, {"and": [{"status": {"eq": "a"}}] * 45_000}),
        "many empty conditions": (FILTERED, {"or": [{}] * 300_000}),
        "many nulls": (FILTERED, {"or": [None] * 200_000}),
        "many unknown fields": (FILTERED, {f"statu{n}": 1 for n in range(60_000)}),
        "many lists": (FILTERED, {"and": [[]] * 300_000}),
        "deep conditions": (FILTERED, _deep(28, "not", {"status": {"eq": "a"}})),
        "deep and wide conditions": (FILTERED, {"and": [_deep(24, "not", {"status": {"eq": "a"}})] * 4000}),
        "deep lists": (FILTERED, _deep(28, None, 1)),
        "a list for a filter": (FILTERED, [{}] * 300_000),
        "a text for a filter": (FILTERED, "a" * 1_000_000),
        "many directions": (ORDERED, [{"status": "ASC"}] * 50_000),
        "many directions that are none": (ORDERED, [{"status": "UP"}] * 50_000),
        "many events": (INGEST, [event] * 8000),
        "many events that are none": (INGEST, [{}] * 300_000),
        "many numbers for events": (INGEST, [1] * 480_000),
        "events with much in them": (INGEST, [{**event, "eventData": {"a": [1] * 400_000}}]),
    }
    name = {FILTERED: "filter", INGEST: "events", ORDERED: "order"}
    asked = {told: OperationRequest(text, variables={name[text]: value}) for told, (text, value) in wide.items()}
    huge = 10**4000
    asked["huge numbers"] = OperationRequest(FILTERED, variables={"filter": {"estimatedCost": {"in": [huge] * 240}}})
    asked["many variables"] = OperationRequest(FILTERED, variables={f"v{n}": n for n in range(60_000)})
    return asked
