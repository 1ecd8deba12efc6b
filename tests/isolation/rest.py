"""Requests to every REST door there is, as `/openapi.json` tells them, with ids of another tenant in all places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.isolation.documents import Values

_METHODS = ("get", "put", "post", "delete", "patch", "head")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, but for who sends it."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


class Doors:
    """The doors of an OpenAPI document. ``values``: name of a parameter or member -> what to give it."""

    def __init__(self, document: Mapping[str, Any], values: Values) -> None:
        self._document = document
        self._values = values
        self.operations: Sequence[tuple[str, str]] = sorted(
            (path, method) for path, methods in document["paths"].items() for method in methods if method in _METHODS
        )

    def requests(self) -> st.SearchStrategy[Request]:
        """A request to any of them."""

        @st.composite
        def request(draw: st.DrawFn) -> Request:
            path, method = draw(st.sampled_from(self.operations))
            operation = self._document["paths"][path][method]
            query = {}
            for declared in operation.get("parameters", ()):
                parameter = self._found(declared)
                given = str(self._value(draw, parameter["name"], parameter.get("schema", {})))
                if parameter["in"] == "path":
                    path = path.replace(f"{{{parameter['name']}}}", quote(given, safe="/=-_."))
                elif parameter["in"] == "query" and draw(st.booleans()):
                    query[parameter["name"]] = given
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = None if content is None else self._body(draw, content)
            return Request(method.upper(), path, body, query)

        return request()

    def _body(self, draw: st.DrawFn, content: Mapping[str, Any]) -> Any:
        if "example" in content:
            return self._filled(draw, content["example"])
        return self._made(draw, "", content["schema"])

    def _filled(self, draw: st.DrawFn, example: Any) -> Any:
        """The example with ids of the attacker's choice."""
        if isinstance(example, list):
            return [self._filled(draw, item) for item in example]
        if not isinstance(example, dict):
            return example
        return {
            name: draw(st.sampled_from(self._values[name])) if name in self._values else self._filled(draw, value)
            for name, value in example.items()
        }

    def _found(self, declared: Mapping[str, Any]) -> Any:
        """What a ``$ref`` refers to, or what was declared in its place."""
        if "$ref" not in declared:
            return declared
        found: Any = self._document
        for part in declared["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _made(self, draw: st.DrawFn, name: str, schema: Mapping[str, Any]) -> Any:
        """Something that the schema allows, more or less."""
        if "$ref" in schema:
            return self._made(draw, name, self._found(schema))
        if name not in self._values and schema.get("type") == "object":
            return {member: self._made(draw, member, one) for member, one in schema.get("properties", {}).items()}
        if name not in self._values and schema.get("type") == "array":
            return [self._made(draw, name, schema.get("items", {}))]
        return self._value(draw, name, schema)

    def _value(self, draw: st.DrawFn, name: str, schema: Mapping[str, Any]) -> Any:
        if name in self._values:
            return draw(st.sampled_from(self._values[name]))
        if "enum" in schema:
            return draw(st.sampled_from(schema["enum"]))
        kinds = {"integer": 1, "number": 1.0, "boolean": True}
        return kinds.get(str(schema.get("type"))) or draw(st.sampled_from(self._values["String"]))
