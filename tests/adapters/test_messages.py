"""Addresses, numbers and texts, as people write them."""

import pytest

from lakefront.adapters.messages import mail_address, telephone, written
from lakefront.errors import ValidationError


@pytest.mark.parametrize("address", ["a@b.example", "jane.o'doe+city@mail.example.org", "jörg@bücher.example"])
def test_addresses(address: str) -> None:
    assert mail_address(f" {address}\n") == address


@pytest.mark.parametrize(
    "address",
    [
        *("", "jane", "jane@", "@b.example", "a@b", "a@b@c.example", "a b@c.example", "a@b.example,c@d.example"),
        *("Jane <a@b.example>", "a@b.ex\nBcc: c", "a@b.1_2", f"{'a' * 65}@b.example"),
        pytest.param(f"a@{'b.' * 1000}example", id="long"),
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(address: str) -> None:
    with pytest.raises(ValidationError) as raised:
        mail_address(address, "email")
    assert raised.value.details == [{"field": "email", "message": "Give one e-mail address, as name@host.example."}]


@pytest.mark.parametrize("number", ["+12125550123", "+1 (212) 555-0123", "+1.212.555.0123"])
def test_numbers(number: str) -> None:
    assert telephone(number) == "+12125550123"


@pytest.mark.parametrize(
    "number", ["", "12125550123", "+1", "+02125550123", "+1212555012345678", "+1212555012x", "+١٢١٢٥٥٥"]
)
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(ValidationError, match="telephone number"):
        telephone(number)


def test_texts_are_as_they_are() -> None:
    assert written(" a\n", "text", most=3) == " a\n"
    for text in ("", " \n", "four"):
        with pytest.raises(ValidationError, match="at most 3 characters"):
            written(text, "text", most=3)
