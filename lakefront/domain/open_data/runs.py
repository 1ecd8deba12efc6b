"""Who carries an import out: a lease on its row, which every write checks, so that a late one changes nothing (C5)."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import orjson

from lakefront.adapters.opendata import Place
from lakefront.db.database import Database, Transaction
from lakefront.domain.open_data.datasets import DataSet, data_set
from lakefront.domain.open_data.rows import Problem
from lakefront.errors import LakefrontError

MOST_PROBLEMS: Final = 50
"""Skipped rows of an import that are told one by one; of the others the number."""


class LeaseLost(Exception):
    """Another runs the import now, or it was cancelled."""


@dataclass(slots=True)
class Run:
    """An import in the hands of this runner. ``failures``: how many there were in a row."""

    tenant: str
    import_id: str
    lease: UUID
    data_set: DataSet
    city: str
    place: Place
    rows_total: int | None
    failures: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a page's rows: ``accepted`` are new or say something new, ``duplicates`` what is known."""

    read: int
    accepted: int
    duplicates: int
    problems: tuple[Problem, ...] = ()


_CLAIM: Final = """
UPDATE lakefront.open_data_imports
SET state = 'RUNNING', lease = $3, leased_until = now() + make_interval(secs => $4), updated_at = now(),
  started_at = coalesce(started_at, now()), version = version + 1
WHERE tenant_id = $1 AND import_id = $2 AND due_at <= now()
  AND (state = 'QUEUED' OR (state = 'RUNNING' AND leased_until <= now()))
RETURNING dataset, city, place, rows_total, failures, trace_id
"""

# ruff: noqa: S608 - what is put into statements is from this file
_HELD: Final = "WHERE tenant_id = $1 AND import_id = $2 AND lease = $3 AND state = 'RUNNING'"

_RENEW: Final = f"""
UPDATE lakefront.open_data_imports SET leased_until = now() + make_interval(secs => $4) {_HELD} RETURNING 1
"""

_TOTAL: Final = f"""
UPDATE lakefront.open_data_imports SET rows_total = $4, updated_at = now(), version = version + 1 {_HELD} RETURNING 1
"""

_ADVANCE: Final = f"""
UPDATE lakefront.open_data_imports
SET place = $4, rows_read = rows_read + $5, accepted = accepted + $6, duplicates = duplicates + $7,
  rejected = rejected + $8,
  problems = CASE WHEN jsonb_array_length(problems) < {MOST_PROBLEMS}
    THEN jsonb_path_query_array(problems || $9, '$[0 to {MOST_PROBLEMS - 1}]') ELSE problems END,
  state = CASE WHEN $10 THEN 'DONE' ELSE 'RUNNING' END, ended_at = CASE WHEN $10 THEN now() END,
  lease = CASE WHEN $10 THEN NULL ELSE lease END,
  leased_until = CASE WHEN $10 THEN NULL ELSE now() + make_interval(secs => $11) END,
  failures = 0, error_code = NULL, error_message = NULL, updated_at = now(), version = version + 1
{_HELD} RETURNING 1
"""

_GIVE_BACK: Final = f"""
UPDATE lakefront.open_data_imports
SET state = 'QUEUED', due_at = now(), lease = NULL, leased_until = NULL, updated_at = now(), version = version + 1
{_HELD} RETURNING 1
"""

_FAIL: Final = f"""
UPDATE lakefront.open_data_imports
SET state = CASE WHEN $6::double precision IS NULL THEN 'FAILED' ELSE 'QUEUED' END,
  due_at = now() + make_interval(secs => coalesce($6, 0)), ended_at = CASE WHEN $6 IS NULL THEN now() END,
  error_code = $4, error_message = $5, failures = failures + 1, lease = NULL, leased_until = NULL,
  updated_at = now(), version = version + 1
{_HELD} RETURNING 1
"""


async def claim(database: Database, tenant: str, import_id: str, seconds: float) -> Run | None:
    """The import, for ``seconds`` at first; None where another has it, or it waits, or has ended."""
    lease = uuid4()
    async with database.transaction(tenant) as transaction:
        rows = await transaction.fetch(_CLAIM, tenant, import_id, lease, seconds)
        if not rows:
            return None
        dataset, city, place, rows_total, failures, trace_id = rows[0]
    return Run(
        tenant, import_id, lease, data_set(dataset), city, Place.model_validate(place), rows_total, failures, trace_id
    )


async def renew(database: Database, run: Run, seconds: float) -> None:
    """Hold it for ``seconds`` more; raises ``LeaseLost``."""
    async with database.transaction(run.tenant) as transaction:
        await _checked(transaction, _RENEW, run, seconds)


async def expect(database: Database, run: Run, rows: int) -> None:
    """Note how many rows there are; raises ``LeaseLost``."""
    async with database.transaction(run.tenant) as transaction:
        await _checked(transaction, _TOTAL, run, rows)


async def advance(
    transaction: Transaction, run: Run, place: Place, taken: Taken, *, last: bool, seconds: float
) -> None:
    """Note that a page was ``taken`` in the same transaction as its rows; raises ``LeaseLost``, which undoes both."""
    await _checked(
        transaction,
        _ADVANCE,
        run,
        place.model_dump_json().encode(),
        *(taken.read, taken.accepted, taken.duplicates, len(taken.problems)),
        orjson.dumps([msgspec.to_builtins(problem) for problem in taken.problems[:MOST_PROBLEMS]]),
        last,
        seconds,
    )


async def give_back(database: Database, run: Run) -> None:
    """Let others go first: it goes on at its place when it is due again; raises ``LeaseLost``."""
    async with database.transaction(run.tenant) as transaction:
        await _checked(transaction, _GIVE_BACK, run)


async def fail(database: Database, run: Run, error: LakefrontError, *, again_in: float | None) -> None:
    """Give it up for ``again_in`` seconds, or for good where that is None; raises ``LeaseLost``."""
    async with database.transaction(run.tenant) as transaction:
        await _checked(transaction, _FAIL, run, error.code, error.message.replace("\0", "?")[:1000], again_in)


async def _checked(transaction: Transaction, statement: str, run: Run, *values: Any) -> None:
    if not await transaction.fetch(statement, run.tenant, run.import_id, run.lease, *values):
        raise LeaseLost
