"""What counts as a leak: another tenant's marker in anything that was told, or a change in another tenant's rows."""

import gzip
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import asyncpg
import httpx

MARKERS: Mapping[str, str] = {"acme": "kestrelnine", "globex": "ospreyseven"}
"""tenant -> a word that is in all of its data, and that nobody else ever says."""

_OPAQUE = re.compile(rb"[A-Za-z0-9_-]{12,}")
_MOST_BYTES = 10_000_000

_TABLES = """
SELECT c.oid::regclass::text AS name, exists(
  SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS of_tenants
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname IN ('lakefront', 'tenants') ORDER BY 1
"""

_LOGINS = """
SELECT 'pg_authid', count(*), md5(coalesce(string_agg(a::text, E'\\n' ORDER BY rolname), '')) FROM pg_authid a
WHERE starts_with(rolname, $1)
"""

Digest = dict[str, tuple[int, str]]
"""table -> how many rows, and a checksum of them."""


class Leak(AssertionError):
    """A tenant learnt of another's data, or changed them."""


def other(tenant: str) -> str:
    """The tenant beside ``tenant``."""
    (found,) = MARKERS.keys() - {tenant}
    return found


def told(what: str, seen: bytes | str, *secrets: str) -> None:
    """Pass if none of ``secrets`` is in ``seen``, however it is packed; raises ``Leak``. ``what`` is who was told."""
    data = seen.encode(errors="surrogatepass") if isinstance(seen, str) else seen
    for reading in _readings(data):
        for secret in secrets:
            if secret.encode() in reading.lower():
                raise Leak(f"{what} holds '{secret}': {data[:2000]!r}")


def heard(what: str, response: httpx.Response, *secrets: str) -> None:
    """Pass if nothing of ``secrets`` is in the answer to ``what``: status, headers, body; raises ``Leak``."""
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    told(f"the head of the answer to {what}", headers, *secrets)
    told(f"the answer {response.status_code} to {what}", response.content, *secrets)


def _readings(data: bytes) -> Iterator[bytes]:
    """``data`` as it is, unpacked, unquoted, and every opaque text in it decoded."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    yield data[:_MOST_BYTES]
    if b"%" in data:
        yield unquote_to_bytes(data)
    for opaque in _OPAQUE.findall(data):
        # One text may stand at the end of another word: each of the four ways to group its letters is tried.
        for start in range(4) if len(opaque) < 500 else (0,):
            text = opaque[start:]
            yield urlsafe_b64decode(text[: len(text) // 4 * 4])


async def tables(admin: "asyncpg.Connection[Any]") -> tuple[list[str], list[str]]:
    """The tables that have a tenant's rows, and those that have none: from the catalogue, so that none is forgotten."""
    rows = await admin.fetch(_TABLES)
    return [row["name"] for row in rows if row["of_tenants"]], [row["name"] for row in rows if not row["of_tenants"]]


async def digest(admin: "asyncpg.Connection[Any]", tenant: str) -> Digest:
    """Every row of ``tenant``, its logins, and every row of no tenant, as a superuser sees them."""
    of_tenants, of_none = await tables(admin)
    parts = [
        f"SELECT '{table}' AS name, count(*) AS rows, "
        f"md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) AS sum FROM {table} t{where}"
        for names, where in ((of_tenants, " WHERE tenant_id = $1"), (of_none, ""))
        for table in names
    ]
    rows = await admin.fetch(" UNION ALL ".join([*parts, _LOGINS]), tenant)
    return {row["name"]: (row["rows"], row["sum"]) for row in rows}


def unchanged(before: Digest, after: Digest, *, but: Iterable[str] = ()) -> None:
    """Pass if both are equal, ``but`` for these tables; raises ``Leak``."""
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    if set(changed) - set(but):
        raise Leak(f"rows of another tenant changed in {sorted(changed)}")
