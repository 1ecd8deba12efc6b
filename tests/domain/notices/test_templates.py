"""Texts of rules: named fields and nothing else get into them (C8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.domain.notices.streams import STREAMS
from lakefront.domain.notices.templates import MOST_FIELD, UNKNOWN, check, rendered
from lakefront.errors import ValidationError

PERMITS = STREAMS["sf-permit-events"]


def test_fields_are_put_in() -> None:
    text = "Permit ${permitId} is $newStatus: $$ ${estimatedCost}, ADU ${adu}, ${zipcode}"
    check(PERMITS, "text", text, most=200)
    event = {"permitId": "P1", "newStatus": "issued", "estimatedCost": 5, "adu": True}
    assert rendered(text, event) == f"Permit P1 is issued: $ 5, ADU true, {UNKNOWN}"


@pytest.mark.parametrize(
    "text", ["", "  ", "x" * 201, "nul \0", "$", "${", "${permitId", "${permitId.x}", "${a b}", "${inspector}", "$1"]
)
def test_a_text_that_cannot_be_filled_is_refused(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check(PERMITS, "text", text, most=200)
    assert caught.value.details[0]["field"] == "text"


@given(st.text(), st.text())
def test_what_an_event_says_stays_in_its_line_and_is_not_read_again(value: str, other: str) -> None:
    told = rendered("<${permitId}>", {"permitId": value, "zipcode": other})
    assert len(told) <= MOST_FIELD + 2
    assert told.startswith("<")
    assert told.endswith(">")
    assert "\n" not in told
    assert told.isprintable()


def test_a_place_within_a_field_is_words() -> None:
    assert rendered("${permitId}", {"permitId": "${zipcode} $$", "zipcode": "94110"}) == "${zipcode} $$"
