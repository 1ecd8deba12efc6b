"""SendGrid, Twilio and Slack: what they take, and what they say when they do not."""

from typing import Any

import httpx
import pytest

from lakefront.simulator import Simulator
from lakefront.simulator.systems import sendgrid, slack, twilio
from lakefront.simulator.systems.base import SUSPENDED

MAIL_PATH = "/sendgrid/v3/mail/send"
MAIL_KEY = {"Authorization": f"Bearer {sendgrid.KEY}"}
MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "somebody@example.org"}]}],
    "from": {"email": "city@example.org", "name": "The city"},
    "subject": "Your request",
    "content": [{"type": "text/plain", "value": "It was closed."}],
}

SMS_PATH = f"/twilio/2010-04-01/Accounts/{twilio.ACCOUNT}/Messages.json"
SMS_KEY = (twilio.ACCOUNT, twilio.TOKEN)
SMS = {"To": "+12125550123", "From": twilio.SENDER, "Body": "It was closed."}

HOOK = f"/slack/services/{slack.TEAM}/{slack.HOOK}/{slack.SECRET}"


async def test_a_mail_is_taken_and_kept(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.post(MAIL_PATH, json=MAIL, headers=MAIL_KEY)
    assert (answer.status_code, answer.content) == (202, b"")
    (kept,) = (await http.get("/_control/messages")).json()
    assert kept == {
        "system": "sendgrid",
        "id": answer.headers["x-message-id"],
        "at": "2026-05-28T14:00:00Z",
        "message": MAIL,
    }


async def test_in_sandbox_mode_nothing_is_sent(city: Simulator, http: httpx.AsyncClient) -> None:
    sandbox = {**MAIL, "mail_settings": {"sandbox_mode": {"enable": True}}}
    assert (await http.post(MAIL_PATH, json=sandbox, headers=MAIL_KEY)).status_code == 200
    assert not city.messages


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"to": [{"email": "nobody"}]}]}, "personalizations.0.to"),
        ({"from": None}, "from.email"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content"),
    ],
)
async def test_a_mail_that_lacks_something(http: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    answer = await http.post(MAIL_PATH, json={**MAIL, **change}, headers=MAIL_KEY)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert (error["field"], error.keys()) == (field, {"message", "field", "help"})


async def test_mails_keys_and_the_day(city: Simulator, http: httpx.AsyncClient) -> None:
    for key, status in {"wrong": 401, SUSPENDED: 403}.items():
        answer = await http.post(MAIL_PATH, json=MAIL, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    city.limits.set({"sendgrid": "1/day"})
    assert (await http.get("/sendgrid/v3/scopes", headers=MAIL_KEY)).json() == {"scopes": ["mail.send"]}
    answers = [await http.post(MAIL_PATH, json=MAIL, headers=MAIL_KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert answers[1].json()["errors"][0]["message"] == "too many requests"
    assert answers[1].headers["x-ratelimit-remaining"] == "0"


async def test_a_text_message_is_taken_and_delivered(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.post(SMS_PATH, data=SMS, auth=SMS_KEY)
    assert answer.status_code == 201
    told = answer.json()
    assert told["sid"].startswith("SM")
    assert len(told["sid"]) == 34
    assert told.items() >= {
        ("status", "queued"),
        ("to", "+12125550123"),
        ("from", twilio.SENDER),
        ("num_segments", "1"),
        ("direction", "outbound-api"),
        ("date_created", "Thu, 28 May 2026 14:00:00 +0000"),
        ("date_sent", None),
        ("error_code", None),
    }
    assert city.messages[0]["message"] == {"to": SMS["To"], "from": SMS["From"], "body": SMS["Body"]}
    city.clock.advance(10)
    assert (await http.get(f"/twilio{told['uri']}", auth=SMS_KEY)).json()["status"] == "delivered"


async def test_a_long_message_has_segments_and_a_service_may_send_it(http: httpx.AsyncClient) -> None:
    form = {"To": SMS["To"], "MessagingServiceSid": twilio.SERVICE, "Body": "x" * 161}
    assert (await http.post(SMS_PATH, data=form, auth=SMS_KEY)).json()["num_segments"] == "0"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "555"}, 21211),
        ({"To": "+15005550001"}, 21211),
        ({"From": ""}, 21603),
        ({"From": "+12125550199"}, 21606),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
    ],
)
async def test_a_message_that_cannot_be_sent(http: httpx.AsyncClient, change: dict[str, str], code: int) -> None:
    answer = await http.post(SMS_PATH, data={**SMS, **change}, auth=SMS_KEY)
    assert answer.status_code == 400
    told = answer.json()
    assert (told["code"], told["status"]) == (code, 400)
    assert told["more_info"] == f"https://www.twilio.com/docs/errors/{code}"


async def test_one_text_message_a_second(http: httpx.AsyncClient) -> None:
    answers = [await http.post(SMS_PATH, data=SMS, auth=SMS_KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert (answers[1].json()["code"], answers[1].headers["retry-after"]) == (20429, "1")


async def test_an_account_is_needed(http: httpx.AsyncClient) -> None:
    account = f"/twilio/2010-04-01/Accounts/{twilio.ACCOUNT}.json"
    assert (await http.get(account, auth=SMS_KEY)).json()["status"] == "active"
    answer = await http.get(account, auth=(twilio.ACCOUNT, "wrong"))
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert (await http.get(account)).status_code == 401
    assert (await http.get(account, auth=(twilio.ACCOUNT, SUSPENDED))).status_code == 403
    assert (await http.get(account.replace("AC5", "AC6"), auth=SMS_KEY)).status_code == 404
    assert (await http.get(f"{SMS_PATH[:-5]}/SM0.json", auth=SMS_KEY)).json()["code"] == 20404


async def test_a_chat_message_is_taken_with_ok(city: Simulator, http: httpx.AsyncClient) -> None:
    answer = await http.post(HOOK, json={"text": "A breaker is open."})
    assert (answer.status_code, answer.text) == (200, "ok")
    assert city.messages[0]["message"] == {"text": "A breaker is open."}


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        (HOOK, b"{", 400, "invalid_payload"),
        (HOOK, b"[]", 400, "invalid_payload"),
        (HOOK, b"{}", 400, "no_text"),
        (HOOK + "x", b"{}", 403, "invalid_token"),
        (HOOK.replace(slack.HOOK, "B1"), b"{}", 404, "no_service"),
        (HOOK.replace(slack.HOOK, slack.ARCHIVED), b"{}", 410, "channel_is_archived"),
    ],
)
async def test_chat_says_why_not(http: httpx.AsyncClient, path: str, body: bytes, status: int, told: str) -> None:
    answer = await http.post(path, content=body)
    assert (answer.status_code, answer.text) == (status, told)


async def test_one_chat_message_a_second(http: httpx.AsyncClient) -> None:
    answers = [await http.post(HOOK, json={"text": "x"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["retry-after"] == "1"
