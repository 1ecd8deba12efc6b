"""A policy: the checked-in rules and an operator's, decided by Casbin, compiled into sets of scopes (ADR 0016)."""

import csv
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import casbin

from lakefront.actor import CITY, OWNABLE, SCOPES

ANYTHING: Final = "*"
"""In a rule: every domain, object or action."""

MOST_COMPILED: Final = 10_000
"""Sets of roles, each in a tenant, whose scopes are remembered, and single roles: a few kilobytes each."""

_HERE = files(__package__)
_MODEL: Final = (_HERE / "model.conf").read_text(encoding="utf-8")


class Rows(StrEnum):
    """Which rows a rule opens."""

    OWN = "own"
    ANY = "any"
    NONE = "none"


class Rule(NamedTuple):
    """``role`` may do ``action`` to ``object`` in the tenant ``domain``, on ``rows``; ANYTHING: all of the three.

    The operator's rules go before the default's and, among each, the more specific before the others: the first that
    fits decides. So ``Rows.NONE`` takes away what a later one grants.
    """

    role: str
    domain: str
    object: str
    action: str
    rows: Rows


class Granted(NamedTuple):
    """The scopes that hold for all rows of the tenant, and those that hold for the subject's own rows alone."""

    scopes: frozenset[str]
    own: frozenset[str]


class Policy:
    """One version of the policy: never changed, so that what is compiled of it holds as long as it does."""

    def __init__(self, added: Iterable[Rule] = (), *, scopes: Collection[str] = SCOPES) -> None:
        """``added`` are the operator's rules; ``scopes`` are those there are to grant."""
        self.added = tuple(added)
        self._scopes = sorted(scopes)
        named = {rule.role for rule in (*DEFAULT_RULES, *self.added)}
        self.roles: frozenset[str] = frozenset(named.union(*INCLUDED))
        """The roles that a rule names: all others are unknown, and grant nothing."""
        self._by_role: dict[str, list[Rule]] = {}
        for rule in self.added:
            self._by_role.setdefault(rule.role, []).append(rule)
        self._own = {(rule.role, rule.domain) for rule in self.added}
        self._sums = lru_cache(maxsize=MOST_COMPILED)(self._sum)
        self._decisions = lru_cache(maxsize=MOST_COMPILED)(self._decide)

    def granted(self, roles: Iterable[str], tenant: str) -> Granted:
        """What whoever has ``roles`` may do in ``tenant``: the sum of what each grants."""
        return self._sums(self.roles.intersection(roles), tenant)

    def roles_of(self, tenant: str) -> list[str]:
        """The roles to which a rule for ``tenant`` gives something, in order; none that only others' rules name."""
        rules = (*DEFAULT_RULES, *self.added)
        given = (rule.role for rule in rules if rule.domain in (ANYTHING, tenant) and rule.rows is not Rows.NONE)
        return sorted({*given, *(role for role, _ in INCLUDED)})

    def _sum(self, roles: frozenset[str], tenant: str) -> Granted:
        found: dict[Rows, set[str]] = {rows: set() for rows in Rows}
        for role in roles:
            for scope, rows in self._decisions(role, self._domain(role, tenant)):
                found[rows].add(scope)
        scopes = frozenset(found[Rows.ANY])
        return Granted(scopes, frozenset(found[Rows.OWN]) & OWNABLE - scopes)

    def _domain(self, role: str, tenant: str) -> str:
        """``tenant`` where a rule of its own bears on ``role``; else ANYTHING: to such tenants all are alike."""
        apart = tenant == CITY or any((name, tenant) in self._own for name in _lineage(role))
        return tenant if apart else ANYTHING

    def _decide(self, role: str, domain: str) -> tuple[tuple[str, Rows], ...]:
        """Each scope that a rule decides on, and the rows it opens. Some milliseconds: hence the cache."""
        enforcer = _enforcer(self._rules(role, domain))
        found = []
        for scope in self._scopes:
            object_, _, action = scope.partition(":")
            allowed, rule = enforcer.enforce_ex(role, domain, object_, action)
            if allowed:
                found.append((scope, Rows(rule[4])))
        return tuple(found)

    def _rules(self, role: str, domain: str) -> list[Rule]:
        """The rules that may matter, in the order in which they decide: Casbin looks at each for each scope."""

        def breadth(rule: Rule) -> tuple[bool, ...]:
            return (rule.role != role, rule.domain == ANYTHING, rule.object == ANYTHING, rule.action == ANYTHING)

        lineage = _lineage(role)
        added = [rule for name in lineage for rule in self._by_role.get(name, ())]
        default = [rule for rule in DEFAULT_RULES if rule.role in lineage]
        return [
            rule
            for rules in (added, default)
            for rule in sorted(rules, key=breadth)
            if rule.domain in (ANYTHING, domain)
        ]


def _lineage(role: str) -> list[str]:
    """``role`` and every role that it includes."""
    found = [role]
    for name in found:
        found += [included for including, included in INCLUDED if including == name and included not in found]
    return found


def _enforcer(rules: Iterable[Rule]) -> Any:
    model = casbin.Model()
    model.load_model_from_text(_MODEL)
    enforcer = casbin.Enforcer(model)
    for rule in rules:
        model.add_policy("p", "p", [*rule, "deny" if rule.rows is Rows.NONE else "allow"])
    for pair in INCLUDED:
        model.add_policy("g", "g", list(pair))
    enforcer.build_role_links()
    return enforcer


def _lines(kind: str) -> Iterator[list[str]]:
    """The lines of policy.csv that begin with ``kind``, without it."""
    text = (_HERE / "policy.csv").read_text(encoding="utf-8")
    for line in csv.reader(text.splitlines(), skipinitialspace=True):
        if line and line[0] == kind:
            yield line[1:]


DEFAULT_RULES: Final = tuple(
    Rule(role, domain, object_, action, Rows(rows)) for role, domain, object_, action, rows in _lines("p")
)
"""The checked-in rules."""

INCLUDED: Final = tuple((role, included) for role, included in _lines("g"))
"""(role, the role that it includes): whoever has the first may do what the second may."""

DEFAULT: Final = Policy()
"""The policy without an operator's rules."""
