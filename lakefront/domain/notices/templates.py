"""Texts with places for an event's fields: ``Permit ${permitId} is ${newStatus} now.``.

A place is a name and nothing else: no attribute, no index, no format is reached from it. ``$$`` is a dollar sign.
"""

from collections.abc import Iterator, Mapping
from string import Template
from typing import Any, Final

from lakefront.domain.cities import invalid
from lakefront.domain.notices.streams import Stream

UNKNOWN: Final = "?"
"""What stands where an event does not say it."""

MOST_SUBJECT, MOST_TEXT = 200, 1000
"""Characters of a template."""

MOST_FIELD: Final = 200
"""Characters of a field that a text shows."""


def check(stream: Stream, field: str, text: str, *, most: int) -> None:
    """Raise ``ValidationError`` for a text that is empty, too long, or names what events of ``stream`` never say."""
    if not text.strip() or len(text) > most or "\0" in text:
        raise invalid(field, f"Give a text of 1 to {most} characters.")
    template = Template(text)
    if not template.is_valid():
        raise invalid(field, "A $ stands before a field's name, as in ${eventType}; write $$ for a dollar sign.")
    if unknown := sorted(set(template.get_identifiers()) - stream.fields.keys()):
        there = ", ".join(stream.fields)
        raise invalid(field, f"Events say no {', '.join(unknown)[:100]}. A text may name: {there}.")


def rendered(text: str, event: Mapping[str, Any]) -> str:
    """``text`` with what ``event`` says: in one line each, at most MOST_FIELD characters; UNKNOWN for the rest."""
    return Template(text).safe_substitute(_Shown(event))


class _Shown(Mapping[str, str]):
    """What an event says, as texts."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event

    def __getitem__(self, name: str) -> str:
        value = self._event.get(name)
        if value is None:
            return UNKNOWN
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:MOST_FIELD] or UNKNOWN

    def __iter__(self) -> Iterator[str]:
        return iter(self._event)

    def __len__(self) -> int:
        return len(self._event)
