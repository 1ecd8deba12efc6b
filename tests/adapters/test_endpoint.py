"""Base URLs that may be called, and what an endpoint shows of itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.adapters.endpoint import Endpoint, checked_base_url
from lakefront.errors import ValidationError


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.nyc.gov/311/v1/", "https://api.nyc.gov/311/v1"),
        ("https://311.example:8443", "https://311.example:8443"),
        ("https://[2001:db8::1]/open311", "https://[2001:db8::1]/open311"),
        ("https://maps.nyc.gov/geoclient/v1.0", "https://maps.nyc.gov/geoclient/v1.0"),
    ],
)
def test_what_may_be_called(url: str, kept: str) -> None:
    assert checked_base_url(url, loopback=False) == kept


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4000", "http://localhost:1/x", "http://[::1]:2", "https://127.9.9.9"]
)
def test_this_machine_only_where_that_is_allowed(url: str) -> None:
    assert checked_base_url(url, loopback=True) == url
    with pytest.raises(ValidationError, match="simulator"):
        checked_base_url(url, loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        *("", "api.nyc.gov", "//api.nyc.gov", "https://", "https:///x", "file:///etc/passwd", "ftp://a.example"),
        *("http://api.nyc.gov", "gopher://127.0.0.1", "https://a.example:0", "https://a.example:99999", "https://[::1"),
        *("https://key@a.example", "https://u:p@a.example", "https://a.example?x=1", "https://a.example#x"),
        *("https://a.example/../x", "https://a.example/%2e%2E/x", "https://a.example/./x", "https://a.example/a b"),
        *(
            "https://a.example\\@b.example",
            "https://bücher.example",
            "https://a.example/\r\nHost: b",
            " https://a.example",
        ),
    ],
)
def test_what_may_not(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        checked_base_url(url, loopback=True)
    assert refused.value.details[0]["field"] == "baseUrl"


@given(st.text() | st.text().map("https://{}".format))
def test_anything_else_is_refused_in_words(url: str) -> None:
    try:
        kept = checked_base_url(url, loopback=True)
    except ValidationError:
        return
    assert kept.startswith(("https://", "http://localhost", "http://127.", "http://[::1]", "HTTPS://", "Https://"))


def test_no_credential_shows() -> None:
    endpoint = Endpoint("city", "geoclient", "nyc", "https://a.example", "2", {"key": "s3cret"}, 5, 1)
    assert "s3cret" not in f"{endpoint} {endpoint!r} {endpoint.key}"
    assert "key" in repr(endpoint)
