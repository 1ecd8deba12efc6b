"""A tenant's login for business-intelligence tools (T3): PostgreSQL's own, which reads the tenant's views and no more.

It has a right to the schema with the tenant's name, to the views in it, and to nothing else; what a session may set
(``lakefront.tenant``, ``row_security``, ``default_transaction_read_only``) changes neither. PostgreSQL shows to every
login the names of schemas and roles, the sizes of tables, and who appends when (LISTEN): names of tenants are no secret
among those who have such a login. A standby for BI tools keeps the last of these, and their load, away.

Its sessions can hold locks on the login itself, for as long as they like: whatever changes it ends them first, waits a
second at most, and tries again.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from secrets import token_urlsafe
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from lakefront.actor import KEYS_MANAGE, PERMITS_INSPECTOR, PERMITS_READ, Actor
from lakefront.db.database import PROVISIONER_ROLE, VIEWS_ROLE, Database, Transaction
from lakefront.db.tenant_views import identifier
from lakefront.domain import idempotency
from lakefront.domain.services import Services
from lakefront.domain.tenants.bi_sign_in import server_of, verifier
from lakefront.domain.tenants.profiles import read_profile, require_manager
from lakefront.errors import Conflict, Forbidden, NotFound, Unavailable

T = TypeVar("T")

SUFFIX: Final = "_bi"
"""A tenant's login is its id and this."""

CONNECTIONS: Final = 5
"""At once."""

_SESSION: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "client_connection_check_interval": "10s",
}
"""What its sessions begin with. They may set it otherwise: what keeps them in their bounds are rights, not settings."""

_PATIENCE: Final = "1s"
"""How long a change of a login waits for each lock, by PostgreSQL's clock."""

_TRIES: Final = 5
"""How often it is tried: between two of them the login's sessions are ended."""

_HINDERED: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.InternalServerError)
"""What a change ends in that a session of the login is in the way of; the last is "tuple concurrently updated"."""

_log = logging.getLogger(__name__)

_ROLE: Final = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1"

_DATABASES_SET: Final = """
SELECT d.datname FROM pg_db_role_setting s
JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase
WHERE r.rolname = $1
"""

_END: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"


LONGEST: Final = timedelta(minutes=5)
"""How long a transaction of a login may be open: one that is keeps PostgreSQL from vacuuming, and a queue of notices
from being emptied, which is everybody's."""

_END_OVERLONG: Final = """
SELECT a.usename, pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.xact_start < clock_timestamp() - $1::interval AND pg_has_role(r.oid, 'USAGE')
  AND starts_with(shobj_description(r.oid, 'pg_authid'), 'Lakefront: the login for BI tools of the tenant ')
"""


class BiLogin(msgspec.Struct, frozen=True):
    """A login to ``database``, where it reads the views of ``schema``. ``password`` is shown once: None ever after.

    ``server`` is where to connect, ``host:port``; of an embedded PostgreSQL the folder of its socket is the host, and
    it asks nobody who reaches that folder for a password.
    """

    login: str
    database: str
    schema: str
    password: str | None = None
    server: str = ""
    asks_for_password: bool = True

    def __repr__(self) -> str:
        """The name alone, so that no traceback tells the password."""
        return f"BiLogin({self.login!r})"


async def create_login(
    services: Services, actor: Actor, tenant: str, *, dry_run: bool = False, idempotency_key: str | None = None
) -> BiLogin:
    """Make the tenant's login; its password is in this answer alone.

    Needs the scopes keys:manage, permits:read and permits:inspector of the tenant, the last two for all rows, as the
    login reads all; or tenants:manage. Raises ``Conflict`` where it has one already, the
    tenant is suspended, or PostgreSQL lets no role be made here; ``NotFound`` without such a tenant, ``Forbidden``,
    ``IdempotencyConflict``, ``Unavailable``.
    """

    async def make(transaction: Transaction, password: str) -> None:
        await _alone(transaction, tenant, ending=False)
        if await _found(transaction, tenant):
            raise Conflict("The tenant has a login already. Rotate it if its password is lost.")
        login, schema = identifier(tenant + SUFFIX), identifier(tenant)
        # A verifier, not the password: it stands in no log of PostgreSQL's.
        await transaction.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{verifier(password)}'")
        await transaction.execute(f"COMMENT ON ROLE {login} IS {_literal(await _mark(transaction, tenant))}")
        await transaction.execute(f"GRANT {login} TO {PROVISIONER_ROLE} WITH INHERIT TRUE, SET FALSE")
        await _reset(transaction, tenant)
        await transaction.execute(f"SET LOCAL ROLE {VIEWS_ROLE}")
        await transaction.execute(f"GRANT USAGE ON SCHEMA {schema} TO {login}")
        await transaction.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}")
        # Also on those that a migration makes anew.
        await transaction.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {login}")
        await transaction.execute(f"SET LOCAL ROLE {PROVISIONER_ROLE}")

    return await _give(services, actor, ("createBiLogin", tenant), make, dry_run, idempotency_key)


async def rotate_login(
    services: Services, actor: Actor, tenant: str, *, dry_run: bool = False, idempotency_key: str | None = None
) -> BiLogin:
    """Give the tenant's login a new password, end its sessions, and undo what these set for the login.

    Needs the same scopes as ``create_login``. Raises ``NotFound`` without such a login, and the same otherwise.
    """

    async def change(transaction: Transaction, password: str) -> None:
        await _alone(transaction, tenant, ending=not dry_run)
        await _require(transaction, tenant)
        login = identifier(tenant + SUFFIX)
        await transaction.execute(f"ALTER ROLE {login} RESET ALL")
        for (database,) in await transaction.fetch(_DATABASES_SET, tenant + SUFFIX):
            await transaction.execute(f"ALTER ROLE {login} IN DATABASE {identifier(database)} RESET ALL")
        await transaction.execute(f"ALTER ROLE {login} PASSWORD '{verifier(password)}'")
        await _reset(transaction, tenant)

    made = await _give(services, actor, ("rotateBiLogin", tenant), change, dry_run, idempotency_key)
    if made.password is not None and not dry_run:
        await end_sessions(services.provisioner, tenant)
    return made


async def drop_login(
    services: Services, actor: Actor, tenant: str, *, dry_run: bool = False, idempotency_key: str | None = None
) -> BiLogin:
    """Remove the tenant's login, and end its sessions; doing it again after a failure goes on where that stopped.

    Needs the scope keys:manage of the tenant, or tenants:manage. Raises ``NotFound`` without such a login, ``Conflict``
    where an operator gave it something in another database; ``Forbidden``, ``IdempotencyConflict``, ``Unavailable``.
    """
    _may(actor, tenant)
    gone: BiLogin
    transaction: Transaction

    async def once(run: Callable[[], Awaitable[BiLogin]]) -> BiLogin:
        nonlocal transaction
        key, body = None if dry_run else idempotency_key, ascii(("dropBiLogin", tenant)).encode()
        async with services.provisioner.transaction(actor.tenant) as transaction:
            stored = await idempotency.once_within(transaction, actor, "dropBiLogin", key, body, run)
        return msgspec.convert(stored, BiLogin)

    async def look() -> BiLogin:
        nonlocal gone
        await read_profile(transaction, tenant)
        await _require(transaction, tenant)
        gone = await _login(services, transaction, tenant)
        raise _DryRun

    async def remove() -> BiLogin:
        await _remove(transaction, tenant)
        return gone

    with suppress(_DryRun):
        return await once(look)  # that was answered before
    if dry_run:
        return gone
    await _unhindered(lambda: _let(services.provisioner, tenant, by_status=False))
    try:
        return await _unhindered(lambda: once(remove))
    except asyncpg.DependentObjectsStillExistError:
        told = "The login was locked, but another database of this PostgreSQL still knows it. Its operator can drop it."
        raise Conflict(told) from None


async def _remove(transaction: Transaction, tenant: str) -> None:
    """Drop a login that was locked."""
    login = identifier(tenant + SUFFIX)
    await _alone(transaction, tenant, ending=True)
    await _require(transaction, tenant)
    await transaction.execute(f"DROP OWNED BY {login}")
    await transaction.execute(f"DROP ROLE {login}")


async def follow_status(provisioner: Database, tenant: str) -> None:
    """Let the tenant's login sign in if the tenant is active, else nobody; to be called once its status is committed.

    Without a login there is nothing to do. Whoever comes last sees the last status, in whatever order they are called.
    Raises ``Unavailable`` where sessions of the login are in the way, or PostgreSQL is away: call it again.
    """
    await _unhindered(lambda: _let(provisioner, tenant, by_status=True))


async def _let(provisioner: Database, tenant: str, *, by_status: bool) -> None:
    """Let the login in as the tenant's status says, or (not ``by_status``) nobody; end the sessions of one locked."""

    async def may_enter() -> bool:
        return by_status and (await read_profile(transaction, tenant)).status == "active"

    async with provisioner.transaction(tenant) as transaction:
        await _alone(transaction, tenant, ending=not await may_enter())
        if not await _ours(transaction, tenant):
            return
        enters = await may_enter()  # again, now that no other decides
        name = tenant + SUFFIX
        option = "LOGIN" if enters else "NOLOGIN"
        [(entered,)] = await transaction.fetch("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", name)
        if entered != enters and await _may_create(transaction):
            await transaction.execute(f"ALTER ROLE {identifier(name)} {option}")
        elif entered != enters:  # whoever took that right away must not keep a tenant from being suspended
            _log.error("%s may not change %s any more: run ALTER ROLE … %s", PROVISIONER_ROLE, name, option)
    if not enters:
        await end_sessions(provisioner, tenant)


async def end_sessions(provisioner: Database, tenant: str) -> None:
    """End the sessions of the tenant's login, if it has one; for good where it cannot sign in, as before."""
    async with provisioner.transaction(tenant) as transaction:
        if await _ours(transaction, tenant):
            await transaction.fetch(_END, tenant + SUFFIX)


async def end_overlong(provisioner: Database, longest: timedelta = LONGEST) -> None:
    """End the sessions of all tenants' logins whose transaction is open for longer, whatever they set.

    A worker of each server asks for it now and then. Raises ``Unavailable``.
    """
    async with provisioner.transaction("-") as transaction:
        for name, _ in await transaction.fetch(_END_OVERLONG, longest):
            _log.warning("a session of %s was ended: its transaction was open for more than %s", name, longest)


class _DryRun(Exception):
    """Everything was done, nothing is to stay."""


async def _give(
    services: Services,
    actor: Actor,
    request: tuple[str, str],
    step: Callable[[Transaction, str], Awaitable[None]],
    dry_run: bool,
    idempotency_key: str | None,
) -> BiLogin:
    """Do ``step`` with a new password, once for an idempotency key: the login, as the answer shows it."""
    operation, tenant = request
    _may(actor, tenant, reads=True)
    password: str | None = None
    transaction: Transaction

    async def run() -> BiLogin:
        nonlocal password
        await _require_active(transaction, tenant)
        await _require_creator(transaction)
        password = token_urlsafe(32)
        await step(transaction, password)
        await _require_active(transaction, tenant)  # still: since the step no suspension overtakes it
        return await _login(services, transaction, tenant)

    async def once() -> Any:
        nonlocal password, transaction
        password = None  # what a try before made was rolled back
        stored: Any
        with suppress(_DryRun):
            async with services.provisioner.transaction(actor.tenant) as transaction:
                key = None if dry_run else idempotency_key
                body = ascii(request).encode()
                stored = await idempotency.once_within(transaction, actor, operation, key, body, run)
                if dry_run:
                    raise _DryRun
        return stored

    made = msgspec.convert(await _unhindered(once), BiLogin)
    return made if dry_run else msgspec.structs.replace(made, password=password)


def _may(actor: Actor, tenant: str, *, reads: bool = False) -> None:
    """Pass if ``actor`` may manage the tenant's login, and, with ``reads``, may itself read all that the login reads.

    Raises ``Forbidden`` otherwise.
    """
    if tenant != actor.tenant:
        require_manager(actor)
        return
    actor.require(KEYS_MANAGE)
    for scope in (PERMITS_READ, PERMITS_INSPECTOR) if reads else ():
        if scope not in actor.scopes:
            told = f"The login reads all rows of the tenant: this needs the scope '{scope}' for all of them, too."
            raise Forbidden(told, scope=scope)


async def _unhindered(change: Callable[[], Awaitable[T]]) -> T:
    """``change``, a transaction, until no session of the login hinders it; raises ``Unavailable`` in the end."""
    for _ in range(_TRIES):
        try:
            return await change()
        except _HINDERED:
            continue
        except Unavailable as away:
            if not isinstance(away.__cause__, _HINDERED):
                raise
    raise Unavailable("Sessions of the tenant's login for BI tools kept it from being changed. Send the request again.")


async def _alone(transaction: Transaction, tenant: str, *, ending: bool) -> None:
    """Be the only one who changes the tenant's login, until ``transaction`` ends, and wait for no lock for long.

    With ``ending`` its sessions are told to end, but not waited for: whoever queues behind them at once is before those
    that come anew.
    """
    await transaction.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
    ending = ending and await _ours(transaction, tenant)
    if ending:  # before the next line, too: not every PostgreSQL lets advisory locks be forbidden
        await transaction.fetch(_END, tenant + SUFFIX)
    await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"bi login:{tenant}")
    if ending:
        await transaction.fetch(_END, tenant + SUFFIX)


async def _require_active(transaction: Transaction, tenant: str) -> None:
    if (await read_profile(transaction, tenant)).status != "active":
        raise Conflict("This tenant is suspended. Resume it first.")


async def _require_creator(transaction: Transaction) -> None:
    if not await _may_create(transaction):
        raise Conflict(
            "Lakefront may not make logins in this PostgreSQL. Ask whoever runs it for: "
            f"ALTER ROLE {PROVISIONER_ROLE} CREATEROLE."
        )


async def _may_create(transaction: Transaction) -> bool:
    return bool(await transaction.fetch("SELECT FROM pg_roles WHERE rolname = current_user AND rolcreaterole"))


async def _require(transaction: Transaction, tenant: str) -> None:
    if not await _found(transaction, tenant):
        raise NotFound("The tenant has no login for BI tools. Make one.")


async def _found(transaction: Transaction, tenant: str) -> bool:
    """Whether the tenant has a login; raises ``Conflict`` where a role of that name is none that was made here."""
    ours = await _ours(transaction, tenant)
    if not ours and await transaction.fetch(_ROLE, tenant + SUFFIX):
        raise Conflict(
            f"PostgreSQL has a role {tenant + SUFFIX} that is not this tenant's login. Its operator must act."
        )
    return ours


async def _ours(transaction: Transaction, tenant: str) -> bool:
    """Whether the tenant has a login that was made here."""
    rows = await transaction.fetch(_ROLE, tenant + SUFFIX)
    return bool(rows) and rows[0][0] == await _mark(transaction, tenant)


async def _mark(transaction: Transaction, tenant: str) -> str:
    """The comment by which a role is known as one that was made here: roles belong to all databases of a cluster."""
    [(database,)] = await transaction.fetch("SELECT current_database()")
    return f"Lakefront: the login for BI tools of the tenant {tenant} in the database {database}"


async def _login(services: Services, transaction: Transaction, tenant: str) -> BiLogin:
    [(database,)] = await transaction.fetch("SELECT current_database()")
    server, trusts = server_of(services.provisioner.dsn), services.settings.embedded_postgres
    return BiLogin(tenant + SUFFIX, database, tenant, server=server, asks_for_password=not trusts)


async def _reset(transaction: Transaction, tenant: str) -> None:
    """Give the login what its sessions begin with."""
    login = identifier(tenant + SUFFIX)
    await transaction.execute(f"ALTER ROLE {login} CONNECTION LIMIT {CONNECTIONS}")
    for name, value in {**_SESSION, "search_path": tenant}.items():
        await transaction.execute(f"ALTER ROLE {login} SET {name} = {_literal(value)}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
