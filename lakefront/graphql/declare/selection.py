"""What a document selects below a field."""

from collections.abc import Iterable, Iterator
from typing import Any

from strawberry.types.nodes import SelectedField


def selected(selections: Iterable[Any]) -> list[str]:
    """Dotted paths of all fields below the field at hand, each once and in the document's order, through fragments.

    Aliases and directives do not matter: what may be skipped counts as selected.
    """
    return list(dict.fromkeys(path for top in selections for path in _below(top.selections, "")))


def _below(selections: Iterable[Any], prefix: str) -> Iterator[str]:
    for selection in selections:
        if isinstance(selection, SelectedField):
            path = f"{prefix}{selection.name}"
            yield path
            yield from _below(selection.selections, f"{path}.")
        else:
            yield from _below(selection.selections, prefix)
