"""Whatever goes wrong, and however often a worker is killed: nobody is told twice, and no notice is lost (C8)."""

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

from lakefront.domain.notices import Channel
from lakefront.simulator.faults import Fault, Kind
from tests.domain.notices.house import QUICK, House, working

EVENTS = 8
FAULTS = (Kind.RESET_BEFORE, Kind.RESET_AFTER, Kind.ERROR, Kind.ERROR_AFTER, Kind.MALFORMED)
PACE = replace(QUICK, lease=0.3, retry_for=20, looking_for=20)


async def test_each_is_told_once_or_somebody_is_told_that_nobody_knows(house: House) -> None:
    for kind in FAULTS:
        house.city.faults.add(Fault(kind=kind, probability=0.05))
    # Done, and no answer: who is killed now has told somebody and has not written so.
    house.city.faults.add(Fault(kind=Kind.LOST, probability=0.12, seconds=30))
    hook = await house.webhook()
    await house.rule(Channel.MAIL)
    await house.rule(Channel.SMS)
    await house.rule(Channel.WEBHOOK, webhook_id=hook.webhook.webhook_id)
    for number in range(EVENTS):
        await house.happens(f"P{number}")
    await house.plan()
    random = Random(1)
    for _ in range(3):
        before = len(house.city.messages) + len(house.city.webhooks)
        async with working(house.services, PACE), asyncio.timeout(20):
            while len(house.city.messages) + len(house.city.webhooks) < before + 4:  # noqa: ASYNC110
                await asyncio.sleep(random.uniform(0, 0.1))
    found = await house.sent(pace=PACE, patience=60)
    assert len(found) == 3 * EVENTS
    by_state = {state: [each for each in found if each["state"] == state] for state in ("SENT", "UNCERTAIN", "FAILED")}
    assert sum(map(len, by_state.values())) == len(found)
    mails = Counter(mail["custom_args"]["reference"] for mail in house.messages("sendgrid"))
    texts = Counter(message["body"] for message in house.messages("twilio"))
    taken = Counter(each["id"] for each in house.city.webhooks if each["problem"] is None and not each["again"])
    arrived = {
        "MAIL": lambda notice: mails[notice["notice_id"]],
        "SMS": lambda notice: texts[f"Permit {notice['about']} is issued."],
        "WEBHOOK": lambda notice: taken[notice["notice_id"]],
    }
    for state, counts in (("SENT", {1}), ("UNCERTAIN", {0, 1}), ("FAILED", {0})):
        for notice in by_state[state]:
            assert arrived[notice["channel"]](notice) in counts, (state, notice["channel"], notice["about"])
    assert not any(notice["channel"] == "WEBHOOK" for notice in by_state["UNCERTAIN"])
