"""Tokens: what holds, what does not, and how they rotate (C9, P9)."""

import asyncio
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from lakefront.actor import PERMITS_READ, PERMITS_WRITE, Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain import ingest_tokens
from lakefront.domain.permits import STREAM
from lakefront.domain.rights import DEFAULT
from lakefront.errors import Forbidden, Unauthenticated, ValidationError
from lakefront.server.auth import Authenticator, KeyRing
from lakefront.server.credentials import Credentials
from lakefront.server.keys import SigningKey, mint
from lakefront.settings import Settings

SETTINGS = Settings()


def bearer(token: str) -> Credentials:
    return Credentials(f"Bearer {token}")


async def test_a_token_of_ours_makes_an_actor(authenticator: Authenticator, key: SigningKey) -> None:
    actor = await authenticator.authenticate(bearer(mint(key, SETTINGS, "ann", "reader", "city", 60)))
    assert (actor.subject, actor.tenant, actor.roles) == ("ann", "city", frozenset({"reader"}))
    assert actor.scopes == DEFAULT.granted(["reader"], "city").scopes >= {PERMITS_READ}
    assert actor.expires_at is not None
    assert actor.expires_at <= time.time() + 61


async def test_what_does_not_hold(authenticator: Authenticator, key: SigningKey, tmp_path: Path) -> None:
    stranger = SigningKey.load_or_create(tmp_path / "stranger")
    good = mint(key, SETTINGS, "ann", "admin", "city", 60)
    head, body, signature = good.split(".")

    def part(data: object) -> str:
        return urlsafe_b64encode(orjson.dumps(data)).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"iss": "datapunk-auth", "aud": "lakefront", "sub": "a", "tenant": "city", "exp": now + 60, "roles": []}
    wrong = [
        Credentials(),
        Credentials(""),
        Credentials("Bearer"),
        Credentials(good),
        Credentials(f"Basic {good}"),
        bearer("x" * 9000),
        bearer("é"),
        Credentials("Bearer \ud800"),
        bearer("a\0_ingest_b"),
        bearer("a.b.c"),
        bearer(f"{head}.{body}.{signature[:-4]}AAAA"),
        bearer(f"{part({'alg': 'none', 'kid': key.kid})}.{body}."),
        bearer(f"{part({'alg': 'HS256', 'kid': key.kid})}.{body}.{signature}"),
        bearer(f"{part({'alg': 'RS256', 'kid': 'nobody'})}.{body}.{signature}"),
        bearer(f"{part(['RS256'])}.{body}.{signature}"),
        bearer(mint(stranger, SETTINGS, "ann", "admin", "city", 60)),
        bearer(mint(key, SETTINGS, "ann", "admin", "city", -5)),
        *(bearer(key.sign({name: value for name, value in claims.items() if name != gone})) for gone in
          ("iss", "aud", "sub", "tenant", "exp")),
        *(bearer(key.sign({**claims, name: value})) for name, value in
          (("iss", "x"), ("aud", "x"), ("sub", ""), ("tenant", ""), ("sub", 5), ("tenant", "nobody"), ("scope", ["a"]),
           ("roles", "admin"), ("roles", [5]), ("roles", None))),
    ]  # fmt: skip
    for credentials in wrong:
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(credentials)


async def test_a_token_of_another_server_of_the_database_holds(
    authenticator: Authenticator, database: Database, tmp_path: Path
) -> None:
    other = SigningKey.load_or_create(tmp_path / "other")
    token = bearer(mint(other, SETTINGS, "ann", "reader", "city", 60))
    authenticator.keys._refreshed_at = -100
    await KeyRing(other, database).register()
    assert (await authenticator.authenticate(token)).subject == "ann"
    assert {key["kid"] for key in (await authenticator.keys.jwks())["keys"]} >= {other.kid}


async def test_a_new_key_of_another_server_holds_at_once_for_all_who_bring_it(
    authenticator: Authenticator, database: Database, tmp_path: Path
) -> None:
    stranger = SigningKey.load_or_create(tmp_path / "stranger")
    with pytest.raises(Unauthenticated):  # nor does it help to have asked for an unknown one just before
        await authenticator.authenticate(bearer(mint(stranger, SETTINGS, "eve", "admin", "city", 60)))
    other = SigningKey.load_or_create(tmp_path / "other")
    await KeyRing(other, database).register()
    tokens = [bearer(mint(other, SETTINGS, f"ann {number}", "reader", "city", 60)) for number in range(8)]
    actors = await asyncio.gather(*map(authenticator.authenticate, tokens))
    assert [actor.subject for actor in actors] == [f"ann {number}" for number in range(8)]


async def test_ingest_tokens_rotate_without_downtime(authenticator: Authenticator, database: Database) -> None:
    admin = system_actor()
    first, second = [await ingest_tokens.rotate(database, admin, "s") for _ in range(2)]
    for token in (first, second):
        actor = await authenticator.authenticate(bearer(token))
        assert (actor.scopes, actor.streams) == (frozenset({PERMITS_WRITE}), frozenset({"s"}))
        with pytest.raises(Forbidden):
            actor.require_stream(STREAM)
    third = await ingest_tokens.rotate(database, admin, "s")
    authenticator.forget()
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(bearer(first))
    for token in (second, third):
        await authenticator.authenticate(bearer(token))
    assert len(await ingest_tokens.valid_tokens(database, admin, "s")) == 2
    fourth = await ingest_tokens.rotate(database, admin, "s", timedelta(0))
    authenticator.forget()
    for token in (second, third):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(bearer(token))
    assert (await authenticator.authenticate(bearer(fourth))).tenant == "city"


async def test_a_look_up_that_a_revocation_overtakes_is_not_remembered(
    authenticator: Authenticator, database: Database
) -> None:
    token = bearer(await ingest_tokens.rotate(database, system_actor(), "s"))
    async with database.transaction("city") as transaction:
        await transaction.execute("LOCK TABLE lakefront.ingest_tokens")
        looking = asyncio.ensure_future(authenticator.authenticate(token))
        await asyncio.sleep(0.1)
        authenticator.forget()
    await looking
    await ingest_tokens.rotate(database, system_actor(), "s", timedelta(0))
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(token)


async def test_who_may_rotate(database: Database) -> None:
    with pytest.raises(Forbidden):
        await ingest_tokens.rotate(database, Actor("a", "city", frozenset({PERMITS_WRITE})), "s")
    with pytest.raises(ValidationError):
        await ingest_tokens.rotate(database, system_actor(), "s", timedelta(days=31))
    assert await ingest_tokens.find(database, "other_ingest_x") is None
    assert await ingest_tokens.find(database, "_ingest_x") is None
