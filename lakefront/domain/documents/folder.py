"""The files of an operator: manifests as the tools of clients write them, and documents as they are.

``*.json`` is ``{hash: text}`` (Relay's ``persistConfig``, graphql-codegen's ``persistedDocuments``) or Apollo's
manifest (https://www.npmjs.com/package/@apollo/generate-persisted-query-manifest); ``*.graphql`` is one document.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from lakefront.domain.documents.hashes import read_hash, sha256_of
from lakefront.errors import ValidationError

APOLLO: Final = "apollo-persisted-query-manifest"

_OTHER_HASH: Final = (
    "this is not the SHA-256 of its document. Have the tool use it: hashAlgorithm 'sha256' (graphql-codegen), "
    "algorithm 'SHA256' (Relay)"
)


def read_folder(folder: Path) -> dict[str, str]:
    """Every document in the files of ``folder``, and where it was found: ``app.json: 4f2a…``.

    Raises ``ValidationError``, with a detail for each thing that is wrong, so that none of it is taken; ``OSError``.
    """
    found: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".json", ".graphql") or not path.is_file():
            continue
        try:
            text = path.read_bytes().decode()
            documents = [(path.name, text)] if path.suffix == ".graphql" else _manifest(path.name, text, problems)
            for where, document in documents:
                found.setdefault(document, where)
        except (UnicodeDecodeError, orjson.JSONDecodeError):
            problems.append((path.name, "not in UTF-8, or not JSON"))
    refuse(problems)
    if not found:
        raise ValidationError(f"There is no document in {folder}: it has no *.json and no *.graphql with one.")
    return found


def refuse(problems: Iterable[tuple[str, str]]) -> None:
    """Raise ``ValidationError`` for (where, what) is wrong, if anything is."""
    details = [{"field": where, "message": what} for where, what in problems]
    if details:
        raise ValidationError("These documents cannot be trusted as they are; nothing was changed.", details=details)


def _manifest(name: str, text: str, problems: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(where, document) of each entry whose key is the document's hash; others are added to ``problems``."""
    entries = _entries(orjson.loads(text))
    if entries is None:
        problems.append((name, f"neither {{hash: document}} nor a manifest of the format {APOLLO}, version 1"))
        return
    for key, document in entries:
        where = f"{name}: {str(key)[:80]}"
        if not isinstance(key, str) or not isinstance(document, str):
            problems.append((where, "the hash and the document must be strings"))
        elif read_hash(key) != sha256_of(document):
            problems.append((where, _OTHER_HASH))
        else:
            yield where, document


def _entries(manifest: Any) -> list[tuple[Any, Any]] | None:
    match manifest:
        case {"format": str(named), "version": version, "operations": list(operations)}:
            if named != APOLLO or version != 1 or not all(isinstance(each, dict) for each in operations):
                return None
            return [(each.get("id"), each.get("body")) for each in operations]
        case dict():
            return list(manifest.items())
        case _:
            return None
