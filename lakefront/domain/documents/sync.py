"""Trusting documents: an operator's files into the table that every server reads, all of them or none."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lakefront.actor import POLICIES_MANAGE, Actor
from lakefront.db.database import Database
from lakefront.domain.documents.folder import Files, refuse
from lakefront.domain.documents.hashes import sha256_of
from lakefront.domain.documents.trusted import MOST
from lakefront.errors import NotFound, ValidationError

Check = Callable[[str], str]
"""What a document's operations are called; raises ``ValidationError`` for one that could not be run."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('persisted_documents', 0))"
_LIST: Final = "SELECT name, sha256, added_at FROM lakefront.persisted_documents ORDER BY name, sha256"
_ADD: Final = "INSERT INTO lakefront.persisted_documents (sha256, name, document) VALUES ($1, $2, $3)"
_REMOVE: Final = "DELETE FROM lakefront.persisted_documents WHERE sha256 = ANY($1::bytea[])"


@dataclass(frozen=True, slots=True)
class Stored:
    """A trusted document: what its operations are called, its hash, and since when (None: only just now)."""

    name: str
    sha256: bytes
    added_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of documents: ``kept`` were there already, ``left`` are there and in none of the files."""

    added: list[Stored] = field(default_factory=list)
    kept: list[Stored] = field(default_factory=list)
    removed: list[Stored] = field(default_factory=list)
    left: list[Stored] = field(default_factory=list)


async def sync(provisioner: Database, actor: Actor, files: Files, check: Check, *, prune: bool = False) -> Report:
    """Trust the documents of ``files``; with ``prune`` no others any more.

    Needs the scope policies:manage. Raises ``ValidationError`` if ``files`` have problems or a document does not pass
    ``check``, with a detail for each, and if they would be more than ``MOST``: nothing is changed then.
    """
    actor.require(POLICIES_MANAGE)
    wanted = _checked(files, check)
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(_LOCK)
        there = {row[1]: Stored(*row) for row in await transaction.fetch(_LIST)}
        missing = {sha256: each for sha256, each in wanted.items() if sha256 not in there}
        others = [stored for sha256, stored in there.items() if sha256 not in wanted]
        report = Report(
            added=[Stored(name, sha256) for sha256, (name, _) in missing.items()],
            kept=[stored for sha256, stored in there.items() if sha256 in wanted],
            removed=others if prune else [],
            left=[] if prune else others,
        )
        if len(report.added) + len(report.kept) + len(report.left) > MOST:
            raise ValidationError(f"More than {MOST} documents would be trusted. Remove old ones with --prune.")
        for sha256, (name, text) in missing.items():
            await transaction.execute(_ADD, sha256, name, text)
        if report.removed:
            await transaction.execute(_REMOVE, [stored.sha256 for stored in report.removed])
    return report


async def remove(provisioner: Database, actor: Actor, hashes: Iterable[bytes]) -> list[Stored]:
    """Trust the documents of ``hashes`` no more; tells which they were.

    Needs the scope policies:manage. Raises ``NotFound`` if one of them is not trusted: nothing is changed then.
    """
    actor.require(POLICIES_MANAGE)
    wanted = list(dict.fromkeys(hashes))
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(_LOCK)
        there = {row[1]: Stored(*row) for row in await transaction.fetch(_LIST)}
        unknown = [sha256.hex() for sha256 in wanted if sha256 not in there]
        if unknown:
            raise NotFound(
                f"No trusted document is named sha256:{unknown[0]}; nothing was changed. "
                "See those that there are: lakefront documents list."
            )
        await transaction.execute(_REMOVE, wanted)
    return [there[sha256] for sha256 in wanted]


async def stored(database: Database, actor: Actor) -> list[Stored]:
    """All trusted documents, by name. Needs the scope policies:manage."""
    actor.require(POLICIES_MANAGE)
    async with database.transaction("-") as transaction:
        return [Stored(*row) for row in await transaction.fetch(_LIST)]


def _checked(files: Files, check: Check) -> dict[bytes, tuple[str, str]]:
    found: dict[bytes, tuple[str, str]] = {}
    problems = list(files.problems)
    for text, where in files.documents.items():
        try:
            found[sha256_of(text)] = (check(text), text)
        except ValidationError as wrong:
            problems.append((where, wrong.message))
    refuse(sorted(problems))
    return found
