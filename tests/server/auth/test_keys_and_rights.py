"""API keys, tenants, rights and floods of made-up secrets: what sign-in does beyond tokens (T2, T4, L14, C10)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

import pytest

from lakefront.actor import CITY, METRICS_READ, PERMITS_READ, PERMITS_WRITE, Kind, system_actor
from lakefront.db.database import PROVISIONER_ROLE, Database, Transaction
from lakefront.domain import api_keys, ingest_tokens
from lakefront.domain.api_keys import NewKey
from lakefront.domain.permits import STREAM
from lakefront.domain.rights import DEFAULT
from lakefront.domain.services import Services
from lakefront.domain.tenants.lifecycle import resume, suspend
from lakefront.errors import Forbidden, Unauthenticated
from lakefront.server.auth import Authenticator, KeyRing
from lakefront.server.auth.known import PAUSE
from lakefront.server.credentials import Credentials
from lakefront.server.keys import SigningKey, mint
from tests.domain.tenants.companies import company, settled
from tests.server.auth.test_authenticator import SETTINGS, bearer

GRANT_METRICS = (
    "INSERT INTO lakefront.policy_rules (rule_id, role, domain, object, action, rows) "
    "VALUES (gen_random_uuid(), 'reader', 'city', 'metrics', 'read', 'any')"
)


async def made_key(services: Services, *roles: str, tenant: str = CITY, ttl: timedelta | None = None) -> NewKey:
    return await api_keys.create(services, system_actor(tenant), "test", roles or ("reader",), ttl)


def with_key(text: str, user_id: str | None = None) -> Credentials:
    return Credentials(api_key=text, user_id=user_id)


async def test_an_api_key_makes_an_actor(authenticator: Authenticator, services: Services) -> None:
    await settled(services, system_actor(), company("acme_corp"))
    made = await made_key(services, "reader", tenant="acme_corp")
    actor = await authenticator.authenticate(with_key(made.text, "user_123"))
    assert (actor.subject, actor.tenant) == (f"api-key:{made.key.key_id}", "acme_corp")
    assert (actor.kind, actor.roles, actor.on_behalf_of) == (Kind.KEY, frozenset({"reader"}), "user_123")
    assert actor.scopes == DEFAULT.granted(["reader"], "acme_corp").scopes
    assert actor.expires_at == pytest.approx(made.key.expires_at.timestamp())
    other = await authenticator.authenticate(with_key(made.text))
    assert other.on_behalf_of is None, "what one caller says of itself is not remembered"


async def test_api_keys_that_do_not_hold(authenticator: Authenticator, services: Services) -> None:
    made = await made_key(services)
    wrong = [
        *(with_key(text) for text in ("", " ", "x", "city_api_", f"{made.text}x", made.text[:-1], "a.b.c", "é_api_x")),
        *(with_key(text) for text in (f"acme_{made.text}", made.text.replace("city", "nobody"), "c_api_" + "x" * 9000)),
        *(with_key(text) for text in ("city_api_\0", "'_api_;", "city_ingest_x")),
        bearer(made.text),
    ]
    for credentials in wrong:
        with pytest.raises(Unauthenticated) as refused:
            await authenticator.authenticate(credentials)
        assert refused.value.problem == "invalid_token"
    with pytest.raises(Unauthenticated) as absent:
        await authenticator.authenticate(Credentials())
    assert absent.value.problem is None


async def test_a_key_that_was_revoked_or_has_expired(authenticator: Authenticator, services: Services) -> None:
    revoked, brief = await made_key(services), await made_key(services, ttl=timedelta(seconds=3))
    for made in (revoked, brief):
        await authenticator.authenticate(with_key(made.text))
    await api_keys.revoke(services, system_actor(), revoked.key.key_id)
    authenticator.forget()
    await asyncio.sleep(brief.key.expires_at.timestamp() - time.time() + 0.1)
    for made in (revoked, brief):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(with_key(made.text))


async def test_tenants_count_at_every_request(
    authenticator: Authenticator, services: Services, key: SigningKey
) -> None:
    admin = system_actor()
    await settled(services, admin, company("acme_corp"))
    made = await made_key(services, tenant="acme_corp")
    minted = bearer(mint(key, SETTINGS, "ann", "reader", "acme_corp", 60))
    ingest = bearer(await ingest_tokens.rotate(services.database, system_actor("acme_corp"), STREAM))
    everything = (with_key(made.text), minted, ingest)
    for credentials in everything:
        assert (await authenticator.authenticate(credentials)).tenant == "acme_corp"
    await suspend(services, admin, "acme_corp", "unpaid")
    services.directory.changed()  # nothing is forgotten: that alone must do
    for credentials in everything:
        with pytest.raises(Forbidden, match="suspended"):
            await authenticator.authenticate(credentials)
    with pytest.raises(Unauthenticated):  # whoever has no key learns nothing of the tenant
        await authenticator.authenticate(with_key("acme_corp_api_" + "x" * 43))
    await resume(services, admin, "acme_corp")
    services.directory.changed()
    for credentials in everything:
        await authenticator.authenticate(credentials)


async def test_a_scope_in_the_token_narrows_what_its_roles_may_do(
    authenticator: Authenticator, key: SigningKey
) -> None:
    now = int(time.time())
    claims = {"iss": "datapunk-auth", "aud": "lakefront", "sub": "a", "tenant": "city", "exp": now + 60}
    for roles, scope, scopes in (
        (["reader"], f"{PERMITS_READ} {PERMITS_WRITE}", {PERMITS_READ}),
        (["reader"], "", set()),
        (["reader", "ingest"], PERMITS_WRITE, {PERMITS_WRITE}),
        ([], PERMITS_READ, set()),
        (["made-up"], PERMITS_READ, set()),
    ):
        actor = await authenticator.authenticate(bearer(key.sign({**claims, "roles": roles, "scope": scope})))
        assert actor.scopes == scopes
        assert not actor.own


async def test_the_policy_of_now_counts(
    authenticator: Authenticator, services: Services, key: SigningKey, provisioner: Database
) -> None:
    token = bearer(mint(key, SETTINGS, "ann", "reader", "city", 60))
    assert METRICS_READ not in (await authenticator.authenticate(token)).scopes
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(GRANT_METRICS)
    services.rights.changed()
    assert METRICS_READ in (await authenticator.authenticate(token)).scopes


class Counting(Database):
    """A database that counts its transactions."""

    begun = 0

    @asynccontextmanager
    async def transaction(self, tenant: str, *, subject: str = "", hurry: bool = True) -> AsyncIterator[Transaction]:
        self.begun += 1
        async with super().transaction(tenant, subject=subject, hurry=hurry) as transaction:
            yield transaction


@dataclass
class Counted:
    """Sign-in whose transactions are counted."""

    authenticator: Authenticator
    parts: tuple[Counting, Counting]

    @property
    def transactions(self) -> int:
        return sum(part.begun for part in self.parts)


@pytest.fixture
async def counted(key: SigningKey, services: Services, dsn: str) -> AsyncIterator[Counted]:
    parts = Counting(dsn), Counting(dsn, role=PROVISIONER_ROLE)
    for part in parts:
        await part.open()
    watched = replace(services, database=parts[0], signing_in=parts[1])
    made = Authenticator(KeyRing(key, parts[0]), watched)
    yield Counted(made, parts)
    await made.close()
    for part in parts:
        await part.close()


async def test_who_asks_with_the_same_key_at_once_shares_one_look_up(counted: Counted, services: Services) -> None:
    made = await made_key(services)
    actors = await asyncio.gather(*(counted.authenticator.authenticate(with_key(made.text)) for _ in range(50)))
    assert len({id(actor) for actor in actors}) == 1
    await counted.authenticator.close()
    assert counted.transactions == 3, "is it there, which is it, it was used"


@pytest.mark.parametrize("form", ["city_api_{}", "city_ingest_{}", "nobody_api_{}", "nobody_ingest_{}"])
async def test_a_flood_of_made_up_secrets_costs_few_transactions(counted: Counted, form: str) -> None:
    async def refused(number: int) -> None:
        text = form.format(f"{number:043}")
        with pytest.raises(Unauthenticated):
            await counted.authenticator.authenticate(with_key(text) if api_keys.MARK in text else bearer(text))

    started = time.monotonic()
    for wave in range(5):
        await asyncio.gather(*(refused(1000 * wave + number) for number in range(200)))
    assert counted.transactions <= 2 + (time.monotonic() - started) / PAUSE


async def test_a_key_that_is_new_holds_during_a_flood(counted: Counted, services: Services) -> None:
    async def flood() -> None:
        for number in count():
            with suppress(Unauthenticated):
                await counted.authenticator.authenticate(with_key(f"city_api_{number:043}"))

    floods = [asyncio.create_task(flood()) for _ in range(20)]
    made = await made_key(services)
    async with asyncio.timeout(10):
        assert (await counted.authenticator.authenticate(with_key(made.text))).kind is Kind.KEY
    for each in floods:
        each.cancel()
    await asyncio.gather(*floods, return_exceptions=True)


async def test_whoever_keeps_the_provisioner_busy_keeps_nobody_from_signing_in(
    authenticator: Authenticator, services: Services
) -> None:
    made = await made_key(services)
    async with services.provisioner.transaction("-"), services.provisioner.transaction("-"), asyncio.timeout(2):
        services.directory.changed()
        assert (await authenticator.authenticate(with_key(made.text))).kind is Kind.KEY


async def test_what_failed_is_not_remembered(counted: Counted, services: Services, provisioner: Database) -> None:
    made = await made_key(services)
    await _set_revoked(provisioner, made, revoked=True)
    with pytest.raises(Unauthenticated):
        await counted.authenticator.authenticate(with_key(made.text))
    await _set_revoked(provisioner, made, revoked=False)
    assert (await counted.authenticator.authenticate(with_key(made.text))).kind is Kind.KEY


async def test_nothing_is_believed_for_long_while_notices_are_missed(
    authenticator: Authenticator, services: Services, provisioner: Database
) -> None:
    made = await made_key(services)
    await authenticator.authenticate(with_key(made.text))
    await _set_revoked(provisioner, made, revoked=True)
    assert (await authenticator.authenticate(with_key(made.text))).kind is Kind.KEY, "nobody said so"
    authenticator.watch(connected=False)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(with_key(made.text))
    await _set_revoked(provisioner, made, revoked=False)
    await authenticator.authenticate(with_key(made.text))
    looks: list[float] = []
    authenticator.on_revocation(lambda: looks.append(time.monotonic()))
    await _set_revoked(provisioner, made, revoked=True)
    await asyncio.sleep(1)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(with_key(made.text))
    assert looks, "sockets look again, too"
    authenticator.watch(connected=True)
    seen = len(looks)
    await asyncio.sleep(1)
    assert len(looks) == seen


async def _set_revoked(provisioner: Database, made: NewKey, *, revoked: bool) -> None:
    """As another server would whose notice is lost."""
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(
            "UPDATE tenants.tenant_api_keys SET revoked_at = CASE WHEN $2 THEN now() END WHERE key_id = $1",
            *(made.key.key_id, revoked),
        )
