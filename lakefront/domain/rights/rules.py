"""Seeing and changing the rules of the policy: for whoever manages policies, in the city's tenant alone."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from lakefront.actor import CITY, CITYS_ALONE, OWNABLE, POLICIES_MANAGE, SCOPES, Actor
from lakefront.db.database import Transaction
from lakefront.domain.idempotency import once
from lakefront.domain.rights.policy import ANYTHING, DEFAULT_RULES, Policy, Rows, Rule
from lakefront.domain.services import Services
from lakefront.errors import NotFound, ValidationError

MOST_RULES: Final = 1000
"""Rules of an operator; one costs some microseconds for each role and tenant that it bears on."""

_ROLE: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class PolicyRule(NamedTuple):
    """A rule of the policy; ``rule_id`` is ``None`` for the checked-in ones, which can only be overruled."""

    rule_id: UUID | None
    rule: Rule


async def listed(services: Services, actor: Actor) -> list[PolicyRule]:
    """The operator's rules, then the checked-in ones. Raises ``Forbidden``, ``Unavailable``."""
    actor.require(POLICIES_MANAGE)
    async with services.provisioner.transaction(actor.tenant) as transaction:
        added = await _read(transaction)
    return [*added, *(PolicyRule(None, rule) for rule in DEFAULT_RULES)]


async def add(
    services: Services, actor: Actor, rule: Rule, *, idempotency_key: str | None = None, dry_run: bool = False
) -> PolicyRule:
    """Let ``rule`` hold from now on; one with the same role, domain, object and action is replaced by it.

    With ``dry_run`` nothing changes. Raises ``ValidationError`` for a rule that could never grant anything, for one
    that would let nobody manage policies any more, and past ``MOST_RULES``; ``Forbidden``, ``IdempotencyConflict``.
    """
    actor.require(POLICIES_MANAGE)
    _check(rule, services.directory.known())

    async def run() -> PolicyRule:
        async with services.provisioner.transaction(actor.tenant) as transaction:
            others = [known for known in await _locked(transaction) if known.rule[:4] != rule[:4]]
            if len(others) >= MOST_RULES:
                raise ValidationError(f"There are {MOST_RULES} rules. Remove some, or write one for several with '*'.")
            _check_managed([*(known.rule for known in others), rule])
            if dry_run:
                return PolicyRule(None, rule)
            [(rule_id,)] = await transaction.fetch(
                "INSERT INTO lakefront.policy_rules (rule_id, role, domain, object, action, rows) "
                "VALUES ($1, $2, $3, $4, $5, $6) "
                "ON CONFLICT (role, domain, object, action) DO UPDATE SET rows = EXCLUDED.rows RETURNING rule_id",
                *(uuid4(), *rule),
            )
        services.rights.changed()
        return PolicyRule(rule_id, rule)

    if dry_run:
        return await run()
    body = msgspec.json.encode(rule)
    return _restored(await once(services.database, actor, "addPolicyRule", idempotency_key, body, run))


async def remove(
    services: Services, actor: Actor, rule_id: str, *, idempotency_key: str | None = None, dry_run: bool = False
) -> PolicyRule:
    """Take an operator's rule away; what it was. With ``dry_run`` nothing changes.

    Raises ``NotFound``, ``ValidationError`` where nobody could manage policies any more, ``Forbidden``,
    ``IdempotencyConflict``.
    """
    actor.require(POLICIES_MANAGE)

    async def run() -> PolicyRule:
        async with services.provisioner.transaction(actor.tenant) as transaction:
            known = await _locked(transaction)
            found = next((it for it in known if str(it.rule_id) == rule_id.lower()), None)
            if found is None:
                raise NotFound("There is no such rule. policyRules lists them; checked-in ones can only be overruled.")
            _check_managed(it.rule for it in known if it is not found)
            if not dry_run:
                await transaction.execute("DELETE FROM lakefront.policy_rules WHERE rule_id = $1", found.rule_id)
        services.rights.changed()
        return found

    if dry_run:
        return await run()
    body = rule_id.encode()
    return _restored(await once(services.database, actor, "removePolicyRule", idempotency_key, body, run))


def _restored(stored: list[object]) -> PolicyRule:
    """The rule in the JSON form that idempotency keeps."""
    return msgspec.convert(stored, PolicyRule)


async def _locked(transaction: Transaction) -> list[PolicyRule]:
    """The operator's rules, which nobody else changes before the transaction ends."""
    await transaction.execute("LOCK TABLE lakefront.policy_rules IN SHARE ROW EXCLUSIVE MODE")
    return await _read(transaction)


async def _read(transaction: Transaction) -> list[PolicyRule]:
    rows = await transaction.fetch(
        "SELECT rule_id, role, domain, object, action, rows FROM lakefront.policy_rules "
        "ORDER BY role, domain, object, action"
    )
    return [
        PolicyRule(rule_id, Rule(role, domain, object_, action, Rows(which)))
        for rule_id, role, domain, object_, action, which in rows
    ]


def _check(rule: Rule, tenants: Iterable[str]) -> None:
    """Raise ``ValidationError`` for a rule that no request will ever meet, which would be a misspelt one."""
    scopes = [scope for scope in SCOPES if _fits(rule, scope)]
    if not _ROLE.fullmatch(rule.role):
        raise _wrong("role", "Small letters, digits, '-' and '_', up to 63, the first a letter.")
    if rule.domain not in {ANYTHING, *tenants}:
        raise _wrong("domain", "There is no such tenant. Name one, or '*' for all.")
    if not scopes:
        raise _wrong("object", f"No scope is like that. There are: {', '.join(sorted(SCOPES))}.")
    if rule.domain != CITY and rule.object != ANYTHING and CITYS_ALONE.issuperset(scopes):
        raise _wrong("domain", f"This is granted in the tenant '{CITY}' alone.")
    if rule.rows is Rows.OWN and not OWNABLE.intersection(scopes):
        raise _wrong("rows", f"Only these have owners: {', '.join(sorted(OWNABLE))}. Use ANY or NONE.")


def _fits(rule: Rule, scope: str) -> bool:
    object_, _, action = scope.partition(":")
    return rule.object in (ANYTHING, object_) and rule.action in (ANYTHING, action)


def _check_managed(rules: Iterable[Rule]) -> None:
    """Raise ``ValidationError`` if by these rules nobody may change them any more."""
    policy = Policy(rules, scopes={POLICIES_MANAGE})
    if not policy.granted(policy.roles, CITY).scopes:
        raise _wrong("role", f"Then no role would grant '{POLICIES_MANAGE}' any more. Grant it to another one first.")


def _wrong(field: str, message: str) -> ValidationError:
    return ValidationError(f"The rule is not valid: {message}", details=[{"field": field, "message": message}])
