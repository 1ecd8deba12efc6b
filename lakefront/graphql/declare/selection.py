"""What a document selects below a field."""

from collections.abc import Iterable
from typing import Any

from strawberry.types.nodes import SelectedField


def selected(selections: Iterable[Any], prefix: str = "") -> set[str]:
    """Dotted paths of all fields below the field at hand, through fragments; aliases and directives do not matter."""
    found: set[str] = set()
    for top in selections:
        found |= _below(top.selections, prefix)
    return found


def _below(selections: Iterable[Any], prefix: str) -> set[str]:
    found: set[str] = set()
    for selection in selections:
        if isinstance(selection, SelectedField):
            path = f"{prefix}{selection.name}"
            found |= {path, *_below(selection.selections, f"{path}.")}
        else:
            found |= _below(selection.selections, prefix)
    return found
