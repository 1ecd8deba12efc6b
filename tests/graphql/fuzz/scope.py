"""Response names in one object of the answer: what may stand beside what, so that fields can be merged."""

from collections.abc import Mapping
from itertools import chain, count
from typing import Any, Final

from tests.graphql.fuzz.choices import Choices

LONG: Final = "a_name_that_is_longer_than_the_sixty_three_bytes_that_postgresql_keeps"
ALIASES: Final = (
    *("a", "b", "c", "row_to_json", "select", "tenant_id", "q", "from", "order", "null", "true", "page", "parents"),
    *("ordinal", "permits_1", "keys0", "json_agg", "data", "errors", "id", "node", "edges", "cursor", "nodes", "_"),
    *("permitId", "permit_id", "status", "totalCount", "events", "count", "key", "groups", "__x", "__typename", "A"),
    *(f"{LONG}_1", f"{LONG}_2"),
)
"""Names of columns, of what SQL knows, of other fields, beyond what PostgreSQL keeps of a name."""


class Entry:
    """One response name: what it stands for, and the names below it."""

    def __init__(self, head: str, type_: str, below: "Scope") -> None:
        self.head = head
        self.type = type_
        self.below = below


class Scope:
    """The names of an object; those of a fragment within it are entered in both (``around``)."""

    def __init__(self, around: "Scope | None" = None) -> None:
        self._around = around
        self.entries: dict[str, Entry] = {}

    def claim(self, name: str, head: str, type_: str) -> "Scope | None":
        """The names below ``name``, which stands for the field ``head`` of ``type_``; None if it is taken."""
        around = self._around.claim(name, head, type_) if self._around is not None else None
        found = self.entries.get(name)
        if (self._around is not None and around is None) or (found and (found.head, found.type) != (head, type_)):
            return None
        if found is None:
            found = self.entries[name] = Entry(head, type_, Scope(around))
        return found.below

    def accepts(self, other: "Scope") -> bool:
        """Whether all of ``other`` may be spread here."""
        if self._around is not None and not self._around.accepts(other):
            return False
        return all(
            found.head == entry.head and found.type == entry.type and found.below.accepts(entry.below)
            for name, entry in other.entries.items()
            if (found := self.entries.get(name)) is not None
        )

    def absorb(self, other: "Scope") -> None:
        """Enter all of ``other``, which is accepted."""
        for name, entry in other.entries.items():
            below = self.claim(name, entry.head, entry.type)
            assert below is not None, "it is accepted"
            below.absorb(entry.below)


def named(choices: Choices, scope: Scope, field: str, arguments: str, type_: Any) -> tuple[str, Scope]:
    """The field as it is written, under its own name or an alias, and the names below it."""
    head = f"{field}{arguments}"
    wanted = choices.pick(ALIASES) if choices.chance(20) else field
    for alias in chain((wanted, field), (f"z{number}" for number in count())):
        below = scope.claim(alias, head, str(type_))
        if below is not None:
            return (head if alias == field else f"{alias}: {head}"), below
    raise AssertionError("numbers never end")


def taken(choices: Choices, scope: Scope, fields: Mapping[str, Any]) -> tuple[str, str, Scope] | None:
    """A field that is there before, to be asked for once more: (its name, as it is written, the names below it)."""
    there = [
        (name, entry)
        for name, entry in scope.entries.items()
        if (field := fields.get(_field(entry))) is not None and str(field.type) == entry.type
    ]
    if not there:
        return None
    name, entry = choices.pick(there)
    return _field(entry), entry.head if name == _field(entry) else f"{name}: {entry.head}", entry.below


def _field(entry: Entry) -> str:
    return entry.head.partition("(")[0]
