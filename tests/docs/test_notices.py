"""The notices' page: its blocks run as they are, and its words are ours."""

from pathlib import Path

import pytest

from lakefront.actor import Actor
from lakefront.domain.notices import Channel, NoticeState, Operator, RecipientKind
from lakefront.domain.services import Services
from tests.docs.blocks import blocks
from tests.graphql.conftest import asking
from tests.process import ROOT

PAGE = ROOT / "docs" / "notices.md"


async def test_its_blocks_run(services: Services, actor: Actor) -> None:
    ask = asking(services, actor, compiled=True)
    answers = [await ask(block.text) for block in blocks(PAGE) if block.language == "graphql"]
    registered, streams, rule, reporters, sent = answers
    assert registered["data"]["registerWebhook"]["secret"].startswith("whsec_")
    assert streams["data"]["noticeStreams"]
    shown = rule["data"]["upsertNoticeRule"]
    assert shown["example"]["text"] == "Permit 202605281234 in Mission: permit_issued."
    assert shown["report"] == {"changes": 1}
    assert reporters["data"]["upsertNoticeRule"]["rule"]["ruleId"]
    assert sent["data"]["notices"] == {"totalCount": 0, "nodes": []}


@pytest.mark.parametrize("words", [Channel, Operator, NoticeState, RecipientKind])
def test_it_tells_of_all(words: type[Channel | Operator | NoticeState | RecipientKind]) -> None:
    text = PAGE.read_text()
    assert [word for word in words if f"`{word}`" not in text] == []


def test_pages_lead_to_it() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "webhooks.md"):
        assert "notices.md" in Path(page).read_text()
