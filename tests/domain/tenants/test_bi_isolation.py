"""What a tenant's BI login can get at: its own rows, whatever it sets or tries, and no writing anywhere."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from lakefront.actor import system_actor
from lakefront.db.tenant_views import VIEWS
from lakefront.domain.services import Services
from lakefront.domain.tenants import bi
from lakefront.domain.tenants.bi import BiLogin
from tests.domain.tenants.logins import remove_logins, sign_in
from tests.tenants import onboard, write_rows

SECRET = "7f3a-the-others-secret"

SETTINGS = (
    "SET lakefront.tenant = 'other'; SET lakefront.subject = 'other'",
    "SET row_security = off",
    "SET search_path = other, lakefront, tenants, city, pg_catalog",
    "SET default_transaction_read_only = off; SET transaction_read_only = off",
    "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_seqscan = on",
    "SET plan_cache_mode = force_generic_plan; SET session_replication_role = replica",
    "SET debug_print_plan = on; SET client_min_messages = debug1; SET log_statement = 'all'",
)

BASE = (
    *("lakefront.events", "lakefront.permits", "lakefront.permit_addresses", "lakefront.lake_objects"),
    *("lakefront.heads", "lakefront.event_keys", "lakefront.consumer_offsets", "lakefront.idempotency_keys"),
    *("lakefront.signing_keys", "lakefront.ingest_tokens", "lakefront.policy_rules", "lakefront.seal_intents"),
    *("tenants.tenant_profiles", "tenants.tenant_api_keys", "tenants.tenant_pipeline_runs", "tenants.dry_runs"),
)

LEAKY = """
DO $$
DECLARE found record;
BEGIN
  FOR found IN SELECT * FROM acme.permits LOOP RAISE NOTICE 'own %', found.permit_id; END LOOP;
  FOR found IN SELECT * FROM other.permits LOOP RAISE NOTICE 'foreign %', found.permit_id; END LOOP;
END $$
"""

READS = (
    *(f"SELECT * FROM other.{view}" for view in VIEWS),
    *(f"SELECT * FROM {table}" for table in BASE),
    *(f"SELECT v::text FROM acme.{view} v" for view in VIEWS),
    "SELECT * FROM permits",
    # The error of a cast or a division tells the row it fell over: it must never get to a foreign one.
    "SELECT * FROM acme.permits WHERE permit_id::int > 0",
    "SELECT * FROM acme.events WHERE (payload #>> '{}')::int > 0",
    "SELECT 1 / (CASE WHEN tenant_id = 'acme' THEN 1 ELSE 0 END) FROM acme.permits",
    "SELECT * FROM acme.permits WHERE 1 / (CASE WHEN tenant_id = 'acme' THEN 1 ELSE 0 END) = 1",
    "SELECT * FROM acme.permits WHERE permit_id ~ 'secret' OR permit_id = set_config('mine.seen', permit_id, false)",
    "SELECT current_setting('mine.seen', true)",
    "SELECT a.* FROM acme.permits a FULL JOIN acme.events e ON a.tenant_id <> e.tenant_id",
    LEAKY,
    "EXPLAIN (ANALYZE, VERBOSE, BUFFERS, SETTINGS) SELECT * FROM acme.permits WHERE permit_id::text > ''",
    "EXPLAIN (VERBOSE) SELECT * FROM other.permits",
    "EXPLAIN SELECT * FROM lakefront.permits",
    *(f"SELECT * FROM {catalog}" for catalog in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic")),
    "SELECT * FROM pg_stat_activity",
    "SELECT pg_stat_get_backend_activity(id) FROM pg_stat_get_backend_idset() id",
    *("SELECT * FROM pg_locks", "SELECT * FROM pg_prepared_statements", "SELECT * FROM pg_cursors"),
    *("SELECT * FROM pg_authid", "SELECT * FROM pg_shadow", "SELECT * FROM pg_hba_file_rules"),
    *("SELECT * FROM pg_settings", "SELECT * FROM pg_db_role_setting", "SELECT * FROM pg_largeobject"),
    *("SELECT lo_get(oid) FROM pg_largeobject_metadata", "SELECT * FROM pg_stat_user_tables"),
    *("SELECT pg_read_file('PG_VERSION')", "SELECT pg_ls_dir('.')", "SELECT pg_ls_waldir()"),
    "SELECT query_to_xml('SELECT * FROM other.permits', true, false, '')",
    "SELECT table_to_xml('lakefront.permits', true, false, '')",
    "SELECT schema_to_xml('other', true, false, '')",
    "SELECT database_to_xml(true, false, '')",
    "COPY other.permits TO STDOUT",
    "COPY (SELECT * FROM lakefront.permits) TO STDOUT",
    "COPY acme.permits TO PROGRAM 'cat'",
    "SELECT currtid2('lakefront.permits', '(0,1)')",
    "SELECT * FROM lakefront.permits TABLESAMPLE SYSTEM (100)",
    "SELECT lakefront.permits FROM lakefront.permits",
    "TABLE other.events",
)

ROLES = ("other_bi", "lakefront_views", "lakefront_app", "lakefront_provisioner", "lakefront_owner", "postgres")

WRITES = (
    *(f"SET ROLE {role}" for role in ROLES),
    *(f"SET SESSION AUTHORIZATION {role}" for role in ROLES),
    *(f"GRANT {role} TO acme_bi" for role in ROLES),
    *(f"INSERT INTO acme.{view} (tenant_id) VALUES ('acme')" for view in VIEWS),
    *(f"UPDATE acme.{view} SET tenant_id = 'acme'" for view in VIEWS),
    *(f"DELETE FROM acme.{view}" for view in VIEWS),
    *(f"DELETE FROM {table}" for table in BASE),
    *(f"TRUNCATE {table}" for table in BASE),
    *(f"CREATE TABLE {schema}mine (x int)" for schema in ("acme.", "other.", "public.", "lakefront.", "")),
    *(
        "CREATE TEMP TABLE mine (x int)",
        "CREATE TEMP VIEW mine AS SELECT 1",
        "SELECT * INTO TEMP mine FROM acme.permits",
    ),
    "CREATE TABLE pg_temp.mine (x int)",
    "CREATE FUNCTION pg_temp.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RETURN true; END'",
    "CREATE FUNCTION acme.leak(text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    *("CREATE VIEW acme.mine AS SELECT 1", "CREATE SEQUENCE acme.mine", "CREATE TYPE acme.mine AS (x int)"),
    *("CREATE SCHEMA mine", "CREATE EXTENSION vector", "CREATE ROLE mine", "CREATE DATABASE mine"),
    *("CREATE PUBLICATION mine FOR ALL TABLES", "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION now()"),
    *("ALTER VIEW acme.permits SET (security_barrier = false)", "ALTER VIEW acme.permits OWNER TO acme_bi"),
    *("CREATE OR REPLACE VIEW acme.permits AS SELECT * FROM lakefront.permits", "DROP VIEW acme.permits"),
    *("DROP SCHEMA acme CASCADE", "ALTER TABLE lakefront.permits DISABLE ROW LEVEL SECURITY"),
    "CREATE POLICY mine ON lakefront.permits USING (true)",
    *("ALTER ROLE acme_bi SUPERUSER", "ALTER ROLE acme_bi BYPASSRLS", "ALTER ROLE acme_bi CONNECTION LIMIT 1000"),
    *("ALTER ROLE other_bi PASSWORD 'mine'", "ALTER ROLE other_bi NOLOGIN", "DROP ROLE other_bi"),
    *("ALTER DATABASE postgres SET work_mem = '1GB'", "ALTER SYSTEM SET work_mem = '1GB'"),
    *("SELECT * FROM acme.permits FOR UPDATE", "LOCK TABLE acme.permits IN ROW EXCLUSIVE MODE"),
    *("LOCK TABLE acme.permits IN ACCESS EXCLUSIVE MODE", "LOCK TABLE lakefront.events IN ACCESS SHARE MODE"),
    # The sealers' own lock: who holds it keeps a tenant's events out of the lake.
    "SELECT pg_advisory_lock(hashtextextended('seal|other|sf-permit-events|0', 0))",
    *("SELECT pg_try_advisory_lock(1)", "SELECT pg_advisory_xact_lock_shared(1, 1)", "SELECT pg_advisory_unlock_all()"),
    *("SELECT lo_create(0)", "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'x')", "SELECT lo_import('/etc/hosts')"),
    *("SELECT pg_switch_wal()", "SELECT pg_reload_conf()", "SELECT pg_stat_reset()", "ANALYZE lakefront.permits"),
    *("COMMENT ON VIEW acme.permits IS 'mine'", "COMMENT ON ROLE acme_bi IS 'mine'", "REINDEX TABLE lakefront.permits"),
    "SECURITY LABEL ON VIEW acme.permits IS 'mine'",
    "COPY acme.permits FROM STDIN",
)

HARMLESS = {"ANALYZE lakefront.permits"}
"""What PostgreSQL answers with a warning, and does not do."""


@pytest.fixture
async def login(dsn: str, services: Services) -> AsyncIterator[BiLogin]:
    """The login of ``acme``; ``other`` has one, too, rows with the secret, and a session that asks for it."""
    await onboard(services.provisioner, "acme", "other")
    await write_rows(dsn, "acme")
    await write_rows(dsn, "other", SECRET)
    made = [await bi.create_login(services, system_actor(), tenant) for tenant in ("acme", "other")]
    async with sign_in(dsn, made[1]) as foreign:
        assert SECRET in str(await foreign.fetch("SELECT * FROM permits WHERE permit_id = '" + SECRET + "'"))
        operator = await asyncpg.connect(dsn)
        await operator.execute("ANALYZE")
        await operator.close()
        yield made[0]
    await remove_logins(dsn)


async def attempt(connection: Any, statement: str) -> tuple[str, bool]:
    """All that PostgreSQL tells of ``statement``, notices and errors included; whether it was done."""
    told: list[str] = []

    def notice(_: Any, message: Any) -> None:
        told.append(str(message.as_dict()))

    connection.add_log_listener(notice)
    try:
        if statement.startswith("COPY") and statement.endswith("STDOUT"):
            told.append(str(await connection.execute(statement)))
        else:
            told.append(str(await connection.fetch(statement)))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as refused:
        # Its own words are no leak: the statement is left out of what it tells.
        told.append(str({key: value for key, value in vars(refused).items() if key != "query"}) + str(refused))
        return "".join(told), False
    finally:
        connection.remove_log_listener(notice)
    return "".join(told), True


@pytest.mark.parametrize("setting", range(len(SETTINGS)), ids=lambda number: f"setting-{number}")
async def test_it_sees_nothing_of_another_tenant(dsn: str, login: BiLogin, setting: int) -> None:
    seen = 0
    for several in (False, True):
        async with sign_in(dsn, login) as connection:
            for statements in SETTINGS[: setting + 1] if several else SETTINGS[setting : setting + 1]:
                for statement in statements.split("; "):
                    await attempt(connection, statement)
            for statement in READS:
                told, done = await attempt(connection, statement)
                assert SECRET not in told, statement
                seen += done
                assert not (done and statement.startswith(("SELECT * FROM other.", "SELECT * FROM lakefront."))), (
                    statement
                )
            own, _ = await attempt(connection, "SELECT * FROM acme.permits")
            assert "permit_id='acme'" in own or "row_security" in own or "row-level" in own
    assert seen > 20


@pytest.mark.parametrize("unlocked", [False, True])
async def test_it_writes_nothing(dsn: str, login: BiLogin, *, unlocked: bool) -> None:
    operator = await asyncpg.connect(dsn)
    before = await state(operator)
    async with sign_in(dsn, login) as connection:
        if unlocked:
            await connection.execute("SET default_transaction_read_only = off")
        for statement in WRITES:
            _, done = await attempt(connection, statement)
            assert not done or statement in HARMLESS, statement
        for statement in ("GRANT SELECT ON acme.permits TO other_bi", "GRANT USAGE ON SCHEMA acme TO PUBLIC"):
            await attempt(connection, statement)  # a warning that nothing was granted
    assert await state(operator) == before
    await operator.close()


async def state(operator: Any) -> list[Any]:
    """What a write would change: rows, relations, functions, rights, roles."""
    counts = [f"(SELECT count(*) FROM {table})" for table in (*BASE, "pg_largeobject_metadata", "pg_proc", "pg_policy")]
    rows = await operator.fetch(f"SELECT {', '.join(counts)}")
    relations = await operator.fetch(
        "SELECT oid, relname, relacl::text, reloptions, relowner FROM pg_class WHERE oid >= 16384 ORDER BY oid"
    )
    schemas = await operator.fetch("SELECT nspname, nspacl::text FROM pg_namespace ORDER BY nspname")
    roles = await operator.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolconnlimit, rolpassword, rolcanlogin FROM pg_authid ORDER BY rolname"
    )
    members = await operator.fetch("SELECT roleid, member FROM pg_auth_members ORDER BY roleid, member")
    return [*rows, *relations, *schemas, *roles, *members]


async def test_at_most_so_many_connections(dsn: str, login: BiLogin) -> None:
    opened = [await asyncpg.connect(dsn, user=login.login, password=login.password) for _ in range(bi.CONNECTIONS)]
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg.connect(dsn, user=login.login, password=login.password)
    for connection in opened:
        connection.terminate()


async def test_the_secret_is_there_to_be_found(dsn: str, login: BiLogin) -> None:
    """The control: where a view does not name its tenant, the very same attempts find it."""
    operator = await asyncpg.connect(dsn)
    await operator.execute("DROP VIEW acme.permits")
    await operator.execute("CREATE VIEW acme.permits AS SELECT tenant_id, permit_id FROM lakefront.permits")
    await operator.execute("GRANT SELECT ON acme.permits TO acme_bi")
    async with sign_in(dsn, login) as connection:
        attempts = [await attempt(connection, statement) for statement in READS]
        assert any(SECRET in told for told, _ in attempts)
    await operator.close()
