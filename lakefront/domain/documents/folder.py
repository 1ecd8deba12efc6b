"""The files of an operator: manifests as the tools of clients write them, and documents as they are.

``*.json`` is ``{hash: text}`` (Relay's ``persistConfig``, graphql-codegen's ``persistedDocuments``) or Apollo's
manifest (https://www.npmjs.com/package/@apollo/generate-persisted-query-manifest); ``*.graphql`` is one document.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from lakefront.domain.documents.hashes import read_hash, sha256_of
from lakefront.errors import ValidationError

APOLLO: Final = "apollo-persisted-query-manifest"

_OTHER_HASH: Final = (
    "this is not the SHA-256 of its document. Have the tool use it: hashAlgorithm 'sha256' (graphql-codegen), "
    "algorithm 'SHA256' (Relay)"
)


class Files(NamedTuple):
    """The documents of a folder, each with where it was found (``app.json: 4f2a…``), and (where, what) is wrong."""

    documents: dict[str, str]
    problems: list[tuple[str, str]]


def read_folder(folder: Path) -> Files:
    """What is in the files of ``folder``; raises ``ValidationError`` if that is nothing, ``OSError``."""
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
        except UnicodeDecodeError as wrong:
            problems.append((path.name, f"not in UTF-8 from its byte {wrong.start} on"))
        except orjson.JSONDecodeError as wrong:
            problems.append((path.name, f"not JSON at line {wrong.lineno}, column {wrong.colno}: {wrong.msg}"))
    if not found and not problems:
        raise ValidationError(
            f"There is no document in {folder}: it has no *.json and no *.graphql with one. To trust single ones no "
            "more: lakefront documents remove HASH."
        )
    return Files(found, problems)


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
