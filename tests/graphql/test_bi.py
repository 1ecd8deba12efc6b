"""Logins for BI tools in GraphQL."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from lakefront.actor import KEYS_MANAGE, PERMITS_INSPECTOR, PERMITS_READ, Actor
from lakefront.domain.services import Services
from tests.domain.tenants.logins import remove_logins
from tests.graphql.conftest import Ask
from tests.tenants import onboard

FIELDS = "{ login password server asksForPassword database schema report { changes outsideCalls } }"
CREATE = f"mutation ($id: ID, $dry: Boolean) {{ it: createBiLogin(tenantId: $id, dryRun: $dry) {FIELDS} }}"
ROTATE = f"mutation ($id: ID, $dry: Boolean) {{ it: rotateBiLogin(tenantId: $id, dryRun: $dry) {FIELDS} }}"
DROP = (
    "mutation ($id: ID, $dry: Boolean, $key: String) "
    f"{{ it: dropBiLogin(tenantId: $id, dryRun: $dry, idempotencyKey: $key) {FIELDS} }}"
)


@pytest.fixture(autouse=True)
async def _tenants(dsn: str, services: Services) -> AsyncIterator[None]:
    await onboard(services.provisioner, "acme", "other")
    yield
    await remove_logins(dsn)


async def test_made_rotated_and_dropped(ask: Ask, dsn: str, actor: Actor) -> None:
    ada = replace(actor, tenant="acme", subject="ada", scopes=frozenset({KEYS_MANAGE, PERMITS_READ, PERMITS_INSPECTOR}))
    dry = (await ask(CREATE, ada, dry=True))["data"]["it"]
    assert (dry["login"], dry["password"], dry["report"]["changes"]) == ("acme_bi", None, 1)
    made = (await ask(CREATE, ada))["data"]["it"]
    assert made["schema"] == "acme"
    folder, port = made["server"].rsplit(":", 1)
    assert not made["asksForPassword"], "the tests' server is an embedded one"
    away = await asyncpg.connect(host=folder, port=int(port), user=made["login"], database=made["database"])
    await away.close()
    assert made["report"] is None
    await (await asyncpg.connect(dsn, user=made["login"], password=made["password"])).close()
    rotated = (await ask(ROTATE, ada))["data"]["it"]
    assert rotated["password"] not in (None, made["password"])
    for _ in range(2):
        assert (await ask(DROP, ada, key="once"))["data"]["it"] == {**made, "password": None}
    [error] = (await ask(DROP, ada))["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_who_may(ask: Ask, actor: Actor) -> None:
    ada = replace(actor, tenant="acme", subject="ada", scopes=frozenset({KEYS_MANAGE, PERMITS_READ, PERMITS_INSPECTOR}))
    reader = replace(ada, scopes=frozenset({PERMITS_READ}))
    for document in (CREATE, ROTATE, DROP):
        for who, tenant in ((ada, "other"), (reader, None), (reader, "acme")):
            [error] = (await ask(document, who, id=tenant))["errors"]
            assert error["extensions"]["code"] == "FORBIDDEN"
    assert (await ask(CREATE, actor, id="other"))["data"]["it"]["login"] == "other_bi"
