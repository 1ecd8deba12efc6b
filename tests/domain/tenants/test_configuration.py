"""What a tenant's configuration may hold, and that it is the same however it is written."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.domain import api_keys, ingest_tokens
from lakefront.domain.tenants.configuration import (
    RESERVED,
    Configuration,
    is_company_name,
    is_email,
    is_reserved,
    is_tenant_id,
)
from tests.domain.tenants.companies import ACME, company


@pytest.mark.parametrize("text", ["acme_corp", "a1_", "abc", "a" * 40, "api_acme", "rapid", "ingest_x", "x_apis"])
def test_ids(text: str) -> None:
    assert is_tenant_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ab", "a" * 41, "1abc", "_abc", "Acme", "acme-corp", "acme corp", "acme.corp", "acme/corp", "ácme"),
        *("acme_api", "acme_api_x", "acme_ingest", "acme_ingest_x", "acme\n", "acme\0", "a'b", 'a"b', "٣٣٣"),
    ],
    ids=ascii,
)
def test_what_is_no_id(text: str) -> None:
    assert not is_tenant_id(text)


@given(st.from_regex(r"[a-z][a-z0-9_]{2,39}", fullmatch=True), st.text("abcdefghij_pn-", min_size=10))
def test_a_key_tells_its_tenant_whatever_its_random_part(tenant: str, random: str) -> None:
    if is_tenant_id(tenant):
        assert f"{tenant}{api_keys.MARK}{random}".partition(api_keys.MARK)[0] == tenant
        assert f"{tenant}{ingest_tokens.MARK}{random}".partition(ingest_tokens.MARK)[0] == tenant


def test_reserved_words() -> None:
    assert {"city", "public", "lakefront", "tenants", "bench", "information_schema", "admin", "api"} <= RESERVED
    assert is_reserved("pg_toast")
    assert is_reserved("lakefront_views")
    assert not is_reserved("acme_corp")


@pytest.mark.parametrize(
    "text", ["a@b.c", "admin@acme.com", "o'brien+x@sub.acme-corp.co.uk", "jürgen@xn--mnchen-3ya.de"]
)
def test_addresses(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a@", "@b.c", "a@b", "a b@c.d", "a@b..c", "a@-b.c", "a@b.c-", "a@b@c.d", ".a@b.c", "a.@b.c"),
        *("a..b@c.d", "a@b.c\n", "a\0@b.c", "<a@b.c>", "a,b@c.d", f"{'a' * 65}@b.c", f"a@{'b' * 250}.c"),
    ],
    ids=ascii,
)
def test_what_is_no_address(text: str) -> None:
    assert not is_email(text)


def test_company_names() -> None:
    for good in ("Acme", "Ácme & Söhne GmbH", "株式会社", "A" * 200):
        assert is_company_name(good)
    for bad in ("", " ", " Acme", "Acme ", "Ac\nme", "Ac\0me", "\ud800", "A" * 201):
        assert not is_company_name(bad)


def test_the_digest_is_of_the_values_alone() -> None:
    turned = b'{"subscription_plan": "PROFESSIONAL", "admin_email": "admin@acme.example", "company_name": '
    other = msgspec.json.decode(turned + b'"Acme Corporation", "tenant_id": "acme_corp"}', type=Configuration)
    assert other.digest() == ACME.digest()
    assert len(ACME.digest()) == 32
    changed = [company(), company(subscription_plan="PROFESSIONAL", admin_email="admin@acme.examplE")]
    assert len({one.digest() for one in (ACME, *changed)}) == 3


def test_it_shows_no_address() -> None:
    assert ACME.admin_email not in f"{ACME} {ACME!r} {[ACME]}"
