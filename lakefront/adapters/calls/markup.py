"""XML of outside systems, read as plain data and within bounds: no document types, so no entities and no references."""

from typing import Any, Final
from xml.parsers import expat

from lakefront.adapters.calls.reading import Unreadable

XML: Final = ("text/xml", "application/xml")

MOST_ELEMENTS: Final = 100_000
DEEPEST: Final = 32

Value = str | dict[str, Any] | None
"""An element: its text, its children by their names (a list where a name comes again), None where it is empty."""


def parsed_xml(body: bytes) -> tuple[str, Value]:
    """The name of the root and what is in it, without attributes and without what stands between elements.

    Raises ``Unreadable`` where it is malformed, has a document type, too many elements or too deep ones.
    """
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.doctype
    try:
        parser.Parse(body, True)  # noqa: FBT003 - it has no name for it
    except (expat.ExpatError, LookupError, ValueError):
        # The latter two: an encoding that nobody knows.
        raise Unreadable("its answer is no XML, though it says so") from None
    return reading.root


def listed(value: Value, item: str) -> list[Any]:
    """The elements called ``item`` in ``value``, however many: one alone looks like no list."""
    found = value.get(item) if isinstance(value, dict) else None
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


class _Reading:
    """What was read of a document so far."""

    def __init__(self) -> None:
        self.root: tuple[str, Value] = ("", None)
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self._elements = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._open) >= DEEPEST:
            raise Unreadable("its answer has too many elements, or too deep ones")
        self._open.append((name, {}, []))

    def text(self, text: str) -> None:
        self._open[-1][2].append(text)

    def end(self, _name: str) -> None:
        name, children, texts = self._open.pop()
        value: Value = children or "".join(texts).strip() or None
        if not self._open:
            self.root = (name, value)
            return
        around = self._open[-1][1]
        if name not in around:
            around[name] = value
        elif isinstance(before := around[name], list):
            before.append(value)
        else:
            around[name] = [before, value]

    def doctype(self, *_: object) -> None:
        raise Unreadable("its answer has a document type, which is not read")
