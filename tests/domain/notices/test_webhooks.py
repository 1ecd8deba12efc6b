"""Registered webhooks: secrets that are told once and changed one side at a time, and go to no other host (C8)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.domain import notices
from lakefront.domain.notices import Channel, NewWebhook, WebhookChanges, webhook
from lakefront.domain.notices.webhooks import MAX_OVERLAP
from lakefront.errors import Conflict, Forbidden, IdempotencyConflict, NotFound, ValidationError
from tests.docs.receivers import running
from tests.domain.notices.house import House

DAY = timedelta(days=1)


async def test_a_secret_is_told_once_and_kept_encrypted(house: House) -> None:
    given = NewWebhook(name="Ours", url="https://hooks.example/lakefront/", path="/s3cret?t=1")
    made = await notices.register(house.services, house.actor, given, idempotency_key="k")
    assert made.secret.startswith("whsec_")
    assert made.webhook.has_path
    assert made.webhook.url == "https://hooks.example/lakefront"
    again = await notices.register(house.services, house.actor, given, idempotency_key="k")
    assert (again.webhook, again.secret) == (made.webhook, "")
    other = NewWebhook(name="Theirs", url=given.url)
    with pytest.raises(IdempotencyConflict):
        await notices.register(house.services, house.actor, other, idempotency_key="k")
    assert await notices.webhooks(house.services, house.actor) == [made.webhook]
    async with house.services.database.transaction(house.actor.tenant) as transaction:
        tables = ("webhooks", "idempotency_keys")
        kept = [await transaction.fetch(f"SELECT t::text FROM lakefront.{table} t") for table in tables]
    assert made.secret not in str(kept)
    assert "s3cret" not in str(kept)
    assert made.secret not in repr(made)
    assert "s3cret" not in repr(given)


async def test_a_dry_run_makes_none_and_tells_no_secret(house: House) -> None:
    given = NewWebhook(name="Ours", url="https://hooks.example")
    made = await notices.register(house.services, house.actor, given, dry_run=True)
    assert made.secret == ""
    assert await notices.webhooks(house.services, house.actor) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (NewWebhook(name="", url="https://hooks.example"), "name"),
        (NewWebhook(name="a\nb", url="https://hooks.example"), "name"),
        (NewWebhook(name="a", url="http://hooks.example"), "url"),
        (NewWebhook(name="a", url="https://user:secret@hooks.example"), "url"),
        (NewWebhook(name="a", url="https://hooks.example/?token=1"), "url"),
        (NewWebhook(name="a", url="https://hooks.example", path="/ü"), "path"),
    ],
)
async def test_what_is_no_receiver_is_refused(house: House, given: NewWebhook, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        await notices.register(house.services, house.actor, given)
    assert caught.value.details[0]["field"] == field


async def test_this_machine_is_none_without_the_simulator(house: House) -> None:
    settings = house.services.settings.model_copy(update={"loopback_integrations": False})
    services = replace(house.services, settings=settings)
    with pytest.raises(ValidationError, match="this machine itself"):
        await notices.register(services, house.actor, NewWebhook(name="a", url="https://127.0.0.1/x"))


async def test_a_path_goes_to_no_other_host(house: House) -> None:
    id_ = (await house.webhook(url="https://hooks.example/a", path="/s")).webhook.webhook_id
    elsewhere = WebhookChanges(url="https://elsewhere.example/a")
    with pytest.raises(ValidationError, match="secret of the old host"):
        await notices.update_webhook(house.services, house.actor, id_, elsewhere)
    same_host = WebhookChanges(url="https://hooks.example/b", name="B")
    changed = await notices.update_webhook(house.services, house.actor, id_, same_host)
    assert (changed.has_path, changed.name, changed.version) == (True, "B", 2)
    moved = await notices.update_webhook(
        house.services, house.actor, id_, WebhookChanges(url="https://elsewhere.example/a", path=None)
    )
    assert (moved.has_path, moved.version) == (False, 3)
    same = await notices.update_webhook(house.services, house.actor, id_, WebhookChanges(name="B"))
    assert same.version == 3


async def test_two_secrets_sign_while_one_is_changed(house: House, tmp_path: Path) -> None:
    made = await house.webhook()
    id_ = made.webhook.webhook_id
    rotated = await notices.rotate(house.services, house.actor, id_, DAY, idempotency_key="k")
    assert rotated.secret not in ("", made.secret)
    assert rotated.webhook.old_secret_until is not None
    assert (await notices.rotate(house.services, house.actor, id_, DAY, idempotency_key="k")).secret == ""
    for number, secret in enumerate((made.secret, rotated.secret)):
        async with running(tmp_path, "python", secret) as receiver:
            await notices.update_webhook(house.services, house.actor, id_, WebhookChanges(url=receiver.url))
            assert (await notices.try_out(house.services, house.actor, id_)).ok
            if number == 0:
                await house.rule(Channel.WEBHOOK, webhook_id=id_)
            await house.happens(f"P{number}")
            await house.sent()
            assert await receiver.line() == f"status_change P{number}"


async def test_the_old_secret_ends(house: House) -> None:
    made = await house.webhook()
    id_, actor = made.webhook.webhook_id, house.actor
    await notices.rotate(house.services, actor, id_, DAY)
    latest = await notices.rotate(house.services, actor, id_, timedelta(0))
    async with house.services.database.transaction(actor.tenant) as transaction:
        row = await webhook.read_one(transaction, actor.tenant, id_)
    assert row is not None
    keys, now = house.services.endpoints.keys, datetime.now(UTC)
    assert webhook.endpoint(keys, actor.tenant, row, now).credentials == {"secret": latest.secret}
    rotated = await notices.rotate(house.services, actor, id_, DAY)
    async with house.services.database.transaction(actor.tenant) as transaction:
        row = await webhook.read_one(transaction, actor.tenant, id_)
    assert row is not None
    both = {"secret": rotated.secret, "next_secret": latest.secret}
    assert webhook.endpoint(keys, actor.tenant, row, now).credentials == both
    assert webhook.endpoint(keys, actor.tenant, row, now + 2 * DAY).credentials == {"secret": rotated.secret}
    with pytest.raises(ValidationError, match="overlap"):
        await notices.rotate(house.services, actor, id_, MAX_OVERLAP + DAY)


async def test_a_wrong_receiver_is_told_of(house: House) -> None:
    made = await house.webhook()
    house.receiver.secrets.clear()
    trial = await notices.try_out(house.services, house.actor, made.webhook.webhook_id)
    assert (trial.ok, trial.error_code) == (False, "upstream_denied")
    assert (await notices.try_out(house.services, house.actor, made.webhook.webhook_id, dry_run=True)).ok is None


async def test_one_that_a_rule_tells_stays(house: House) -> None:
    id_ = (await house.webhook()).webhook.webhook_id
    rule = await house.rule(Channel.WEBHOOK, webhook_id=id_, name="Issued")
    with pytest.raises(Conflict, match="Issued"):
        await notices.remove_webhook(house.services, house.actor, id_)
    await notices.remove(house.services, house.actor, rule.rule_id)
    await notices.remove_webhook(house.services, house.actor, id_)
    assert await notices.webhooks(house.services, house.actor) == []
    with pytest.raises(NotFound):
        await notices.remove_webhook(house.services, house.actor, id_)


async def test_it_needs_its_scope_and_is_its_tenant_s_alone(house: House) -> None:
    id_ = (await house.webhook()).webhook.webhook_id
    keeper = replace(house.actor, scopes=frozenset({INTEGRATIONS_MANAGE}))
    with pytest.raises(Forbidden, match="notices:manage"):
        await notices.webhooks(house.services, keeper)
    stranger = replace(house.actor, tenant="acme_corp")
    assert await notices.webhooks(house.services, stranger) == []
    with pytest.raises(NotFound):
        await notices.rotate(house.services, stranger, id_)
