"""A tenant's webhooks, managed by those who may: registered, changed, given new secrets, tried out, removed (C8)."""

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from msgspec import UNSET

from lakefront.actor import NOTICES_MANAGE, Actor
from lakefront.adapters.endpoint import checked_base_url
from lakefront.adapters.providers.webhook import Webhook as Adapter
from lakefront.adapters.signatures import new_secret
from lakefront.db.database import Transaction
from lakefront.domain.cities import invalid
from lakefront.domain.integrations import Parts, Trial
from lakefront.domain.integrations.keys import CannotDecrypt
from lakefront.domain.integrations.rows import origin
from lakefront.domain.integrations.trial import TrialParts
from lakefront.domain.notices.changing import MAX_NAME, change, is_name, no_webhook
from lakefront.domain.notices.webhook import (
    NewWebhook,
    Row,
    Webhook,
    WebhookChanges,
    WithSecret,
    endpoint,
    place,
    read,
    read_one,
    secrets_of,
)
from lakefront.errors import Conflict, InternalError, LakefrontError, NotConfigured, ValidationError

MOST: Final = 100
"""Webhooks of one tenant."""

MAX_OVERLAP: Final = timedelta(days=30)

_PUT: Final = """
INSERT INTO lakefront.webhooks AS held (
  tenant_id, webhook_id, name, url, secrets, key_id, has_path, old_secret_until, enabled, version, updated_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (tenant_id, webhook_id) DO UPDATE SET name = EXCLUDED.name, url = EXCLUDED.url,
  secrets = EXCLUDED.secrets, key_id = EXCLUDED.key_id, has_path = EXCLUDED.has_path,
  old_secret_until = EXCLUDED.old_secret_until, enabled = EXCLUDED.enabled, version = EXCLUDED.version,
  updated_by = EXCLUDED.updated_by, updated_at = now()
RETURNING created_at, updated_at
"""

_log = logging.getLogger(__name__)


async def webhooks(parts: Parts, actor: Actor) -> list[Webhook]:
    """The webhooks of the actor's tenant, by name. Needs the scope notices:manage."""
    actor.require(NOTICES_MANAGE)
    async with parts.database.transaction(actor.tenant) as transaction:
        return [Webhook.of(row) for row in await read(transaction, actor.tenant)]


async def register(
    parts: Parts, actor: Actor, given: NewWebhook, *, idempotency_key: str | None = None, dry_run: bool = False
) -> WithSecret:
    """Make a webhook, with a secret that is told this once: who repeats the call with its key is told none.

    Needs the scope notices:manage. Raises ``ValidationError``, ``Conflict`` past MOST, ``Forbidden``,
    ``IdempotencyConflict``, ``Unavailable``.
    """
    actor.require(NOTICES_MANAGE)
    _check_name(given.name)
    url = _checked(parts, given.url)
    _check_path(given.path)
    secret, webhook_id = new_secret(), uuid4().hex

    async def step(transaction: Transaction) -> Webhook:
        if len(await read(transaction, actor.tenant)) >= MOST:
            raise Conflict(f"This tenant has {MOST} webhooks, which is the most. Remove one: removeWebhook.")
        now = datetime.now(UTC)
        row = Row(
            webhook_id=webhook_id,
            name=given.name,
            url=url,
            secrets=b"",
            key_id="",
            has_path=False,
            old_secret_until=None,
            enabled=True,
            version=1,
            created_at=now,
            updated_at=now,
            updated_by="",
        )
        secrets = {"secret": secret} | ({"path": given.path} if given.path else {})
        return await _write(parts, actor, transaction, row, secrets)

    made = await change(
        *(parts, actor, ("registerWebhook", given), step, Webhook), idempotency_key=idempotency_key, dry_run=dry_run
    )
    # Replayed for an idempotency key, it is another one than was made now: its secret is not known here.
    return WithSecret(made, secret if made.webhook_id == webhook_id and not dry_run else "")


async def update(
    parts: Parts,
    actor: Actor,
    webhook_id: str,
    given: WebhookChanges,
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> Webhook:
    """Change it; who names another host gives the path anew, or None, as what is stored goes to no other host.

    Needs the scope notices:manage. Raises ``NotFound``, and as ``register``.
    """
    actor.require(NOTICES_MANAGE)
    if given.name is not UNSET:
        _check_name(given.name)
    url = UNSET if given.url is UNSET else _checked(parts, given.url)
    _check_path(given.path)

    async def step(transaction: Transaction) -> Webhook:
        old = await _required(transaction, actor.tenant, webhook_id)
        wanted: dict[str, Any] = {"name": given.name, "url": url, "enabled": given.enabled}
        row = replace(old, **{name: value for name, value in wanted.items() if value is not UNSET})
        if origin(row.url) != origin(old.url) and old.has_path and given.path is UNSET:
            raise invalid("path", "The path is a secret of the old host. Give it again with the new URL, or null.")
        if row == old and given.path is UNSET:
            return Webhook.of(old)
        secrets = _read(parts, actor.tenant, old)
        if given.path is not UNSET:
            secrets.pop("path", None)
            secrets |= {"path": given.path} if given.path else {}
        return await _write(parts, actor, transaction, replace(row, version=old.version + 1), secrets)

    request = ("updateWebhook", webhook_id, given)
    return await change(parts, actor, request, step, Webhook, idempotency_key=idempotency_key, dry_run=dry_run)


async def rotate(
    parts: Parts,
    actor: Actor,
    webhook_id: str,
    overlap: timedelta = timedelta(days=1),
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> WithSecret:
    """A new secret, told this once. For ``overlap`` (0 to 30 days) the one before signs each delivery, too.

    What an earlier rotation had left to sign ends now: two hold at most. Needs the scope notices:manage. Raises
    ``NotFound``, and as ``register``.
    """
    actor.require(NOTICES_MANAGE)
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise invalid("overlapHours", f"The overlap is 0 hours to {MAX_OVERLAP.days} days.")
    secret, shown = new_secret(), ""

    async def step(transaction: Transaction) -> Webhook:
        nonlocal shown
        old = await _required(transaction, actor.tenant, webhook_id)
        stored = _read(parts, actor.tenant, old)
        secrets = {name: stored[name] for name in ("path",) if name in stored} | {"secret": secret}
        until = None
        if overlap:
            secrets["old_secret"], until = stored["secret"], datetime.now(UTC) + overlap
        shown = secret
        row = replace(old, old_secret_until=until, version=old.version + 1)
        return await _write(parts, actor, transaction, row, secrets)

    request = ("rotateWebhookSecret", webhook_id, overlap)
    made = await change(parts, actor, request, step, Webhook, idempotency_key=idempotency_key, dry_run=dry_run)
    return WithSecret(made, "" if dry_run else shown)


async def remove(
    parts: Parts, actor: Actor, webhook_id: str, *, idempotency_key: str | None = None, dry_run: bool = False
) -> Webhook:
    """Remove it: what waits to be sent there is skipped. As it was.

    Needs the scope notices:manage. Raises ``NotFound``, ``Conflict`` while rules tell it.
    """
    actor.require(NOTICES_MANAGE)

    async def step(transaction: Transaction) -> Webhook:
        old = await _required(transaction, actor.tenant, webhook_id)
        rules = await transaction.fetch(
            "SELECT name FROM lakefront.notice_rules WHERE tenant_id = $1 AND webhook_id = $2 ORDER BY name LIMIT 5",
            *(actor.tenant, webhook_id),
        )
        if rules:
            told = ", ".join(name for (name,) in rules)
            raise Conflict(f"Rules tell this webhook: {told}. Remove them first (removeNoticeRule), or change them.")
        await transaction.execute(
            "DELETE FROM lakefront.webhooks WHERE tenant_id = $1 AND webhook_id = $2", actor.tenant, webhook_id
        )
        _log.info("webhook removed tenant=%s webhook=%s", actor.tenant, webhook_id)
        return Webhook.of(old)

    request = ("removeWebhook", webhook_id)
    return await change(parts, actor, request, step, Webhook, idempotency_key=idempotency_key, dry_run=dry_run)


async def try_out(parts: TrialParts, actor: Actor, webhook_id: str, *, dry_run: bool = False) -> Trial:
    """Send an event of the type ``test``, be the webhook disabled: a failure is an answer. On a dry run, send none.

    Needs the scope notices:manage. Raises ``NotFound``, ``Forbidden``, ``Unavailable`` when PostgreSQL is away.
    """
    actor.require(NOTICES_MANAGE)
    async with parts.database.transaction(actor.tenant) as transaction:
        row = await read_one(transaction, actor.tenant, webhook_id)
    if row is None:
        raise no_webhook()
    if dry_run:
        return Trial(ok=None, error_code=None, message="An event of the type test would be sent.", seconds=0.0)
    started = time.perf_counter()
    try:
        await Adapter(endpoint(parts.endpoints.keys, actor.tenant, row, datetime.now(UTC)), parts.calls).test()
    except CannotDecrypt:
        return Trial(ok=False, error_code=NotConfigured.code, message=_UNREADABLE, seconds=0.0)
    except InternalError:
        raise
    except LakefrontError as failed:
        seconds = time.perf_counter() - started
        return Trial(ok=False, error_code=failed.code, message=failed.message, seconds=seconds)
    return Trial(ok=True, error_code=None, message="It took the event.", seconds=time.perf_counter() - started)


_UNREADABLE: Final = (
    "The webhook's secret cannot be read with the keys that this server has. Give it the key that it was encrypted "
    "under, or register the webhook anew."
)


async def _required(transaction: Transaction, tenant: str, webhook_id: str) -> Row:
    row = await read_one(transaction, tenant, webhook_id, lock=True)
    if row is None:
        raise no_webhook()
    return row


def _read(parts: Parts, tenant: str, row: Row) -> dict[str, str]:
    try:
        return secrets_of(parts.endpoints.keys, tenant, row)
    except CannotDecrypt as wrong:
        raise Conflict(_UNREADABLE) from wrong


async def _write(parts: Parts, actor: Actor, transaction: Transaction, row: Row, secrets: dict[str, str]) -> Webhook:
    key_id, data = parts.endpoints.keys.encrypt(place(actor.tenant, row.webhook_id, row.url), secrets)
    [(created_at, updated_at)] = await transaction.fetch(
        _PUT,
        *(actor.tenant, row.webhook_id, row.name, row.url, data, key_id, "path" in secrets, row.old_secret_until),
        *(row.enabled, row.version, actor.subject),
    )
    _log.info("webhook written tenant=%s webhook=%s version=%d", actor.tenant, row.webhook_id, row.version)
    written = replace(row, has_path="path" in secrets, updated_by=actor.subject)
    return Webhook.of(replace(written, created_at=created_at, updated_at=updated_at))


def _checked(parts: Parts, url: str) -> str:
    if len(url) > 2000:
        raise invalid("url", "A URL has at most 2,000 characters.")
    try:
        return checked_base_url(url, loopback=parts.settings.loopback_integrations)
    except ValidationError as wrong:
        raise invalid("url", wrong.message.replace("base URL", "URL")) from None


def _check_name(name: str) -> None:
    if not is_name(name):
        raise invalid("name", f"A name has 1 to {MAX_NAME} printable characters.")


def _check_path(path: object) -> None:
    if isinstance(path, str) and not (1 <= len(path) <= 2000 and path.isascii() and path.isprintable()):
        raise invalid("path", "A path has 1 to 2,000 printable ASCII characters.")
