"""The checked-in policy (C10, L15), and what an operator's rules make of it."""

from collections.abc import Iterable
from typing import Any

import pytest

from lakefront.actor import (
    BENEFITS_SCREEN,
    CITY,
    CITYS_ALONE,
    KEYS_MANAGE,
    METRICS_READ,
    OPEN_DATA_READ,
    OWNABLE,
    PERMITS_INSPECTOR,
    PERMITS_READ,
    PERMITS_WRITE,
    PLACES_READ,
    SCOPES,
    SERVICE_REQUESTS_CREATE,
    SERVICE_REQUESTS_READ,
    SERVICE_REQUESTS_UPDATE,
    TENANTS_MANAGE,
)
from lakefront.domain.rights import DEFAULT, Granted, Policy, Rows, Rule
from lakefront.domain.rights import policy as compiling

NOTHING = Granted(frozenset(), frozenset())


def test_scopes_are_an_object_and_an_action() -> None:
    assert all(len(scope.split(":")) == 2 for scope in SCOPES)
    assert OWNABLE <= SCOPES


def test_there_are_seven_roles() -> None:
    assert sorted(DEFAULT.roles) == ["admin", "citizen", "ingest", "monitor", "reader", "service", "staff"]


def test_admin_may_do_everything_and_manages_tenants_and_policies_in_the_city_alone() -> None:
    assert DEFAULT.granted(["admin"], CITY) == Granted(SCOPES, frozenset())
    assert DEFAULT.granted(["admin"], "acme") == Granted(SCOPES - CITYS_ALONE, frozenset())


@pytest.mark.parametrize("tenant", [CITY, "acme"])
def test_service_requests_are_read_and_updated_by_staff_created_and_read_by_their_citizen(tenant: str) -> None:
    staff, citizen = DEFAULT.granted(["staff"], tenant), DEFAULT.granted(["citizen"], tenant)
    assert staff.scopes >= {SERVICE_REQUESTS_READ, SERVICE_REQUESTS_UPDATE}
    assert SERVICE_REQUESTS_CREATE not in staff.scopes | staff.own
    owned = frozenset({SERVICE_REQUESTS_READ, SERVICE_REQUESTS_CREATE})
    assert citizen == Granted(frozenset({PERMITS_READ, PLACES_READ, OPEN_DATA_READ, BENEFITS_SCREEN}), owned)


def test_admin_reads_writes_and_deletes_where_a_reader_reads() -> None:
    policy = Policy(scopes={"permits:read", "permits:write", "permits:delete"})
    assert policy.granted(["admin"], "acme").scopes == {"permits:read", "permits:write", "permits:delete"}
    assert policy.granted(["reader"], "acme").scopes == {"permits:read"}


def test_the_other_roles() -> None:
    granted = {role: DEFAULT.granted([role], "acme").scopes for role in DEFAULT.roles}
    assert granted["reader"] == {PERMITS_READ, PERMITS_INSPECTOR, PLACES_READ, OPEN_DATA_READ}
    assert granted["service"] == {PERMITS_READ, PERMITS_INSPECTOR, PERMITS_WRITE, PLACES_READ, OPEN_DATA_READ}
    assert granted["ingest"] == {PERMITS_WRITE}
    assert granted["monitor"] == {METRICS_READ}


def test_roles_add_up_and_all_rows_include_ones_own() -> None:
    both = DEFAULT.granted(["citizen", "staff"], "acme")
    assert both.scopes == DEFAULT.granted(["staff"], "acme").scopes
    assert both.own == {SERVICE_REQUESTS_CREATE}


def test_unknown_roles_grant_nothing() -> None:
    assert DEFAULT.granted(["root", "Admin", "*", "", "admin "], CITY) == NOTHING
    assert DEFAULT.granted([], CITY) == NOTHING
    assert DEFAULT.granted(["root", "monitor"], CITY) == DEFAULT.granted(["monitor"], CITY)


def test_a_rule_adds_a_role_in_its_tenant_alone() -> None:
    policy = Policy([Rule("surveyor", "acme", "permits", "read", Rows.ANY)])
    assert policy.granted(["surveyor"], "acme").scopes == {PERMITS_READ}
    assert policy.granted(["surveyor"], "other") == NOTHING


def test_a_rule_takes_away_what_the_default_grants() -> None:
    policy = Policy([Rule("reader", "acme", "permits", "inspector", Rows.NONE)])
    assert policy.granted(["reader"], "acme").scopes == {PERMITS_READ, PLACES_READ, OPEN_DATA_READ}
    assert policy.granted(["reader"], "other").scopes == {PERMITS_READ, PERMITS_INSPECTOR, PLACES_READ, OPEN_DATA_READ}
    assert Policy([Rule("reader", "*", "*", "*", Rows.NONE)]).granted(["reader"], "acme") == NOTHING
    kept = Policy([Rule("admin", "*", "keys", "manage", Rows.NONE)]).granted(["admin"], CITY).scopes
    assert kept == SCOPES - {KEYS_MANAGE}


def test_a_rule_narrows_to_own_rows() -> None:
    granted = Policy([Rule("staff", "*", "service_requests", "read", Rows.OWN)]).granted(["staff"], "acme")
    assert SERVICE_REQUESTS_READ in granted.own
    assert SERVICE_REQUESTS_READ not in granted.scopes


def test_the_more_specific_of_the_operators_rules_decides() -> None:
    rules = [
        Rule("reader", "*", "permits", "*", Rows.NONE),
        Rule("reader", "acme", "permits", "*", Rows.ANY),
        Rule("reader", "acme", "permits", "write", Rows.NONE),
    ]
    for given in (rules, rules[::-1]):
        policy = Policy(given)
        assert policy.granted(["reader"], "other").scopes == {PLACES_READ, OPEN_DATA_READ}
        assert policy.granted(["reader"], "acme").scopes == {
            PERMITS_READ,
            PERMITS_INSPECTOR,
            PLACES_READ,
            OPEN_DATA_READ,
        }


def test_what_is_taken_from_a_role_is_taken_from_those_that_include_it_unless_they_have_it_themselves() -> None:
    taken = Rule("reader", "*", "permits", "read", Rows.NONE)
    assert PERMITS_READ not in Policy([taken]).granted(["staff"], "acme").scopes
    back = Rule("staff", "*", "permits", "read", Rows.ANY)
    assert PERMITS_READ in Policy([taken, back]).granted(["staff"], "acme").scopes


def test_no_rule_gives_another_tenant_what_is_the_citys() -> None:
    rules = [Rule("boss", domain, "tenants", "manage", Rows.ANY) for domain in ("*", "acme", CITY)]
    policy = Policy([*rules, Rule("boss", "acme", "*", "*", Rows.ANY)])
    assert not CITYS_ALONE & policy.granted(["boss"], "acme").scopes
    assert policy.granted(["boss"], CITY).scopes == {TENANTS_MANAGE}


def test_own_rows_of_what_has_no_owner_are_no_rows() -> None:
    assert Policy([Rule("boss", "*", "permits", "read", Rows.OWN)]).granted(["boss"], "acme") == NOTHING


def test_a_set_of_roles_is_compiled_once() -> None:
    policy = Policy()
    assert policy.granted(["reader", "root"], "acme") is policy.granted({"reader"}, "acme")


def test_a_tenant_knows_its_roles_and_nobody_elses() -> None:
    named = [("clerk", "acme"), ("boss", "*"), ("surveyor", "other")]
    rules = [Rule(role, domain, "permits", "read", Rows.ANY) for role, domain in named]
    policy = Policy([*rules, Rule("nobody", "acme", "*", "*", Rows.NONE)])
    assert policy.roles_of("acme") == sorted([*DEFAULT.roles, "boss", "clerk"])
    assert policy.roles_of("third") == sorted([*DEFAULT.roles, "boss"])


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[list[Rule]]:
    """The rules of every compilation from now on: Casbin takes milliseconds for each."""
    seen: list[list[Rule]] = []
    enforcer = compiling._enforcer

    def counting(rules: Iterable[Rule]) -> Any:
        seen.append(list(rules))
        return enforcer(seen[-1])

    monkeypatch.setattr(compiling, "_enforcer", counting)
    return seen


def test_tenants_without_rules_of_their_own_share_what_is_compiled(compiled: list[list[Rule]]) -> None:
    own = Rule("reader", "acme", "permits", "read", Rows.NONE)
    policy = Policy([own, Rule("clerk", "*", "permits", "read", Rows.ANY)])
    for number in range(1000):
        for roles in (["reader"], ["staff"], ["reader", "staff", "clerk"], ["root"]):
            policy.granted(roles, f"tenant-{number}")
    assert len(compiled) == 3
    assert not any(own in rules for rules in compiled)
    policy.granted(["staff"], CITY)
    assert PERMITS_READ not in policy.granted(["staff"], "acme").scopes
    assert policy.granted(["clerk"], "acme").scopes == {PERMITS_READ}
    assert len(compiled) == 5


def test_rules_of_other_roles_and_tenants_cost_nothing(compiled: list[list[Rule]]) -> None:
    others = [Rule(f"role-{number}", "*", "permits", "read", Rows.ANY) for number in range(500)]
    elsewhere = [Rule("clerk", f"tenant-{number}", "permits", "read", Rows.ANY) for number in range(490)]
    policy = Policy([*others, *elsewhere])
    assert policy.granted(["clerk"], "tenant-7").scopes == {PERMITS_READ}
    assert policy.granted(["clerk"], "acme") == NOTHING
    assert compiled == [[elsewhere[7]], []]
