"""Takes the walls down one by one, so that the tests can show that they would notice."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

import asyncpg
from sqlalchemy import ClauseElement

from lakefront.db.database import Database, Transaction

_FILTER = re.compile(r'(?:(?:"[^"]+"|\b\w+)\.)*\btenant_id = (\$\d+(?:::\w+)?)')
"""A statement's own condition on the tenant."""

_PROTECTED = """
SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND n.nspname IN ('lakefront', 'tenants')
"""


def unfiltered(sql: str) -> str:
    """``sql`` without its conditions on the tenant."""
    return _FILTER.sub(r"(\1 = \1)", sql)


class _Unfiltered(Transaction):
    @staticmethod
    def _text(statement: ClauseElement | str, values: Any) -> tuple[str, Any]:
        sql, bound = Transaction._text(statement, values)
        return unfiltered(sql), bound


@contextmanager
def without_filters(database: Database) -> Iterator[None]:
    """No statement of the application asks for its tenant's rows alone: row security stands by itself."""
    value, transaction = database.value, database.transaction

    async def value_of_all(sql: str, *values: Any) -> Any:
        return await value(unfiltered(sql), *values)

    @asynccontextmanager
    async def transaction_of_all(*arguments: Any, **options: Any) -> AsyncIterator[Transaction]:
        async with transaction(*arguments, **options) as opened:
            yield _Unfiltered(opened.connection, timeout=opened._timeout)

    with patch.object(database, "value", value_of_all), patch.object(database, "transaction", transaction_of_all):
        yield


async def without_row_security(admin: "asyncpg.Connection[Any]") -> None:
    """Switch row security off in the whole database, which is a copy: the statements' filters stand by themselves."""
    found = await admin.fetch(_PROTECTED)
    assert found
    for row in found:
        await admin.execute(f"ALTER TABLE {row['name']} DISABLE ROW LEVEL SECURITY")
