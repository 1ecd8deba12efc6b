"""Sending a notice: what the outbox's worker does with a job ``notice.send`` (C8).

The text is made of rule and event at the moment it is sent, and kept by nobody here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lakefront.actor import system_actor
from lakefront.adapters.endpoint import Endpoint
from lakefront.adapters.messages import Mail, Notification, Receipt, TextMessage
from lakefront.adapters.providers.sendgrid import SendGrid
from lakefront.adapters.providers.slack import Slack
from lakefront.adapters.providers.twilio import Twilio
from lakefront.adapters.providers.webhook import Webhook
from lakefront.db.database import Transaction
from lakefront.domain.integrations import adapter
from lakefront.domain.integrations.keys import CannotDecrypt
from lakefront.domain.notices import rule as rules
from lakefront.domain.notices import streams, templates, webhook
from lakefront.domain.notices.masking import masked
from lakefront.domain.notices.planning import KIND
from lakefront.domain.notices.rule import Channel, NoticeRule, RecipientKind
from lakefront.domain.notices.streams import STREAMS
from lakefront.domain.outbox import Job, nothing_sent, record
from lakefront.domain.service_requests.filing import read_caller
from lakefront.domain.services import Services
from lakefront.errors import LakefrontError, NotConfigured, NotFound, UpstreamUncertain

_ENDED: Final = frozenset({"SENT", "SKIPPED"})

_READ: Final = """
SELECT rule_id, channel, stream, shard, "offset", event_id, about, state, called_at FROM lakefront.notices
WHERE tenant_id = $1 AND notice_id = $2
"""
_END: Final = """
UPDATE lakefront.notices SET state = $3, reason = $4, error_code = $5, external_id = coalesce($6, external_id),
  delivery = coalesce($7, delivery), recipient = coalesce($8, recipient), ended_at = now()
WHERE tenant_id = $1 AND notice_id = $2
"""
_NOT_SENT: Final = "UPDATE lakefront.notices SET called_at = NULL WHERE tenant_id = $1 AND notice_id = $2"


class _Skip(Exception):
    """There is nothing to be sent, and never will be."""


@dataclass(frozen=True, slots=True)
class _Message:
    """What is to be sent, and to whom: personal data, never logged, never stored."""

    rule: NoticeRule
    event: Mapping[str, Any]
    address: str | None
    endpoint: Endpoint | None
    """A webhook's."""

    @property
    def text(self) -> str:
        return templates.rendered(self.rule.text or "", self.event)

    def __repr__(self) -> str:
        return f"_Message({self.rule!r})"


class Sender:
    """The outbox's handler of notices."""

    kind = KIND

    async def run(self, services: Services, job: Job) -> None:
        """Send it, and write so; what has no recipient any more, no rule or no event is skipped, and says why.

        Raises what the adapters raise, ``NotConfigured`` where the channel's integration is not set up.
        """
        with nothing_sent():
            notice = await _notice(services, job)
            if notice["state"] in _ENDED:
                return await _end(services, job, None)
            try:
                message = await _message(services, job, notice)
            except _Skip as skip:
                return await _end(services, job, "SKIPPED", reason=str(skip))
            if notice["channel"] != Channel.WEBHOOK:
                await _about_to_call(services, job)
        receipt = await _send(services, job, message)
        recipient = None if message.address is None else masked(message.address)
        await _end(services, job, "SENT", receipt=receipt, recipient=recipient)
        return None

    async def look_up(self, services: Services, job: Job) -> None:
        """Send it again where the receiver knows it again (webhooks), or where nothing was ever sent.

        Raises ``UpstreamUncertain`` for mails, text messages and chats that may have gone through: nobody can tell.
        """
        notice = await _notice(services, job)
        if notice["channel"] != Channel.WEBHOOK and notice["called_at"] is not None and notice["state"] not in _ENDED:
            raise UpstreamUncertain(
                "The message may have been sent, and its provider would not know it again. Look there, or ask the "
                "recipient, before it is sent again."
            )
        await self.run(services, job)

    async def gave_up(self, transaction: Transaction, job: Job, error: LakefrontError, *, uncertain: bool) -> None:
        """Say of the notice that it failed, or that nobody knows."""
        notice_id = job.payload["notice"]
        if uncertain:
            await transaction.execute(_END, job.tenant, notice_id, "UNCERTAIN", None, error.code, None, None, None)
        else:
            await transaction.execute(_END, job.tenant, notice_id, "FAILED", None, error.code, None, None, None)
            await transaction.execute(_NOT_SENT, job.tenant, notice_id)


async def _notice(services: Services, job: Job) -> Mapping[str, Any]:
    async with services.database.transaction(job.tenant) as transaction:
        rows = await transaction.fetch(_READ, job.tenant, job.payload["notice"])
    if not rows:
        raise NotFound("The notice is gone: it ended long ago, and was forgotten.")
    return dict(rows[0])


async def _message(services: Services, job: Job, notice: Mapping[str, Any]) -> _Message:
    """What is to be sent; raises ``_Skip``."""
    async with services.database.transaction(job.tenant) as transaction:
        rule = await rules.read_one(transaction, job.tenant, notice["rule_id"])
        if rule is None or not rule.enabled or (rule.channel, rule.stream) != (notice["channel"], notice["stream"]):
            raise _Skip("The rule was removed, switched off, or given another channel or stream.")
        address = await _address(transaction, job, rule, notice["about"])
        receiver = None
        if rule.webhook_id is not None:
            receiver = await webhook.read_one(transaction, job.tenant, rule.webhook_id)
    endpoint = None if rule.webhook_id is None else _endpoint(services, job.tenant, receiver)
    return _Message(rule, await _event(services, job.tenant, notice), address, endpoint)


async def _address(transaction: Transaction, job: Job, rule: NoticeRule, about: str) -> str | None:
    if rule.recipient_kind is not RecipientKind.REPORTER:
        return rule.address
    caller = await read_caller(transaction, job.tenant, about)
    address = caller and (caller.email if rule.channel is Channel.MAIL else caller.phone)
    if not address:
        raise _Skip("Of who reported it, nothing is kept by which they could be told.")
    return address


def _endpoint(services: Services, tenant: str, receiver: webhook.Row | None) -> Endpoint:
    if receiver is None or not receiver.enabled:
        raise _Skip("The webhook was removed or switched off.")
    try:
        return webhook.endpoint(services.endpoints.keys, tenant, receiver, datetime.now(UTC))
    except CannotDecrypt:
        raise NotConfigured(
            "The webhook's secret cannot be read with the keys that this server has. An operator has to give it the "
            "key that it was encrypted under, or register the webhook anew."
        ) from None


async def _event(services: Services, tenant: str, notice: Mapping[str, Any]) -> Mapping[str, Any]:
    """What rules may know of the event, from wherever the log has it by now; raises ``_Skip``."""
    actor, stream, shard, offset = system_actor(tenant), notice["stream"], notice["shard"], notice["offset"]
    until = dict.fromkeys(await services.log.head(actor, stream), 0) | {shard: offset + 1}
    page = await services.log.read(actor, stream, {shard: offset}, limit=1, until=until)
    if not page.events:
        raise _Skip("The event is not in the log any more.")
    [it] = page.events
    return streams.told(STREAMS[stream], it.partition_key, it.event_id, it.event_type, it.occurred_at, it.payload)


async def _about_to_call(services: Services, job: Job) -> None:
    """Note that it may have been sent from now on."""
    async with services.database.transaction(job.tenant) as transaction:
        await transaction.execute(
            "UPDATE lakefront.notices SET called_at = now() WHERE tenant_id = $1 AND notice_id = $2",
            *(job.tenant, job.payload["notice"]),
        )


async def _send(services: Services, job: Job, message: _Message) -> Receipt:
    trace_id, to = job.trace_id, message.address or ""
    match message.rule.channel:
        case Channel.MAIL:
            subject = templates.rendered(message.rule.subject or "", message.event)
            mail = Mail(to=to, subject=subject, text=message.text, reference=job.payload["notice"])
            return await (await adapter(services, SendGrid, job.tenant)).send(mail, trace_id=trace_id)
        case Channel.SMS:
            twilio = await adapter(services, Twilio, job.tenant)
            return await twilio.send(TextMessage(to=to, text=message.text), trace_id=trace_id)
        case Channel.SLACK:
            return await (await adapter(services, Slack, job.tenant)).post(message.text, trace_id=trace_id)
        case Channel.WEBHOOK:
            assert message.endpoint is not None
            return await Webhook(message.endpoint, services.calls).deliver(
                _notification(job.payload["notice"], message), trace_id=trace_id
            )


def _notification(notice_id: str, message: _Message) -> Notification:
    """What a webhook is told: the same id however often, the event's fields, and the rule's text where it has one."""
    text = {} if message.rule.text is None else {"text": message.text}
    return Notification(
        id=notice_id,
        type=message.event["eventType"],
        at=datetime.fromisoformat(message.event["occurredAt"]),
        data={
            "id": message.event[STREAMS[message.rule.stream].about],
            "stream": message.rule.stream,
            "rule": message.rule.name,
            **text,
            "event": message.event,
        },
    )


async def _end(
    services: Services,
    job: Job,
    state: str | None,
    *,
    reason: str | None = None,
    receipt: Receipt | None = None,
    recipient: str | None = None,
) -> None:
    """Write what became of it and finish the job; with ``state`` None it is as it was."""

    async def write(transaction: Transaction) -> None:
        if state is not None:
            told = (receipt.external_id, receipt.delivery) if receipt else (None, None)
            await transaction.execute(_END, job.tenant, job.payload["notice"], state, reason, None, *told, recipient)

    await record(services.database, job, write)
