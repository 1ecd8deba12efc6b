"""A tenant's login for BI tools that tries to be another tenant: by settings, roles, schemas and base tables (T3)."""

from typing import Any

import asyncpg
import pytest
from hypothesis import strategies as st

from lakefront.domain.tenants import bi
from tests.domain.tenants.logins import sign_in
from tests.isolation.explore import explore
from tests.isolation.leaks import MARKERS, digest, other, tables, told, unchanged
from tests.isolation.test_sql import statements
from tests.isolation.world import World

EXAMPLES = 60

VIEWS = "SELECT table_name FROM information_schema.views WHERE table_schema = $1"


def disguises(victim: str) -> list[str]:
    """What might make a session another's."""
    return [
        f"SET lakefront.tenant = '{victim}'",
        f"SELECT set_config('lakefront.tenant', '{victim}', false)",
        f"SET search_path = {victim}, lakefront, tenants",
        f"SET ROLE {victim}_bi",
        f"SET SESSION AUTHORIZATION {victim}_bi",
        *(f"SET ROLE lakefront_{role}" for role in ("app", "owner", "views", "appender", "provisioner")),
        "SET row_security = off",
        "SET default_transaction_read_only = off",
        "RESET ALL",
    ]


@pytest.mark.parametrize("attacker", MARKERS)
async def test_a_bi_login_sees_its_own_tenant_alone(world: World, attacker: str) -> None:
    victim, services = other(attacker), world.served.parts.doors.services
    login = await bi.create_login(services, await world.actor(attacker), attacker)
    await bi.create_login(services, await world.actor(victim), victim)
    before = await digest(world.admin, victim)
    async with sign_in(world.dsn, login) as session:
        views = [row[0] for row in await world.admin.fetch(VIEWS, attacker)]
        assert views
        assert MARKERS[attacker] in "".join([await said(session, f"SELECT * FROM {attacker}.{view}") for view in views])
        wanted = [f"SELECT * FROM {schema}.{view}" for schema in (attacker, victim) for view in views]
        wanted += [f"SELECT * FROM {view}" for view in views]
        for table in (await tables(world.admin))[0]:
            wanted += await statements(world.admin, table, attacker, victim)

        async def check(tries: tuple[list[str], list[str]]) -> None:
            for statement in (*tries[0], *tries[1]):
                told(f"{statement!r} by {attacker}'s BI login", await said(session, statement), MARKERS[victim])

        some = st.lists(st.sampled_from(disguises(victim)), max_size=3)
        await explore(st.tuples(some, st.lists(st.sampled_from(wanted), max_size=4)), check, examples=EXAMPLES)
    unchanged(before, await digest(world.admin, victim))


async def said(session: Any, statement: str) -> str:
    """What ``statement`` says, be it a refusal."""
    try:
        return "\n".join(str(dict(row)) for row in await session.fetch(statement))
    except asyncpg.PostgresError as refused:
        return f"{refused} {refused.as_dict()}"
