"""Who one is, and the rules of who may do what, as GraphQL tells them."""

from datetime import UTC, datetime
from typing import Self

import strawberry

from lakefront import actor
from lakefront.actor import Kind
from lakefront.domain.rights import Rows, Rule, rules
from lakefront.graphql.declare import described
from lakefront.graphql.fields import attribute
from lakefront.graphql.reports import DryRunReport

described(
    Kind,
    "What an actor is.",
    {
        Kind.USER: "Somebody who has a token.",
        Kind.KEY: "A program that has a key of its tenant.",
        Kind.SERVICE: "The server itself, or another service.",
    },
    name="ActorKind",
)

described(
    Rows,
    "Which rows a rule opens.",
    {
        Rows.OWN: "Those that belong to whoever asks.",
        Rows.ANY: "All of the tenant.",
        Rows.NONE: "None: it takes away what a later rule grants.",
    },
    name="PolicyRows",
)


@strawberry.type(description="Who asks, as the server sees them.")
class Actor:
    """The actor of the operation."""

    subject: str = attribute("Their name: what tokens, logs and the owners of rows call them.")
    tenant_id: strawberry.ID = attribute("The tenant whose rows they see.")
    kind: Kind = attribute("What they are.")
    roles: list[str] = attribute("Their roles.")
    scopes: list[str] = attribute("What their roles grant, on all rows of the tenant.")
    own_scopes: list[str] = attribute("What their roles grant on rows that belong to them, and no others.")
    expires_at: datetime | None = attribute("When their token or key ends; null if it does not.")
    on_behalf_of: str | None = attribute("For whom they say that they act (X-User-ID): noted, never authority.")

    @classmethod
    def of(cls, who: actor.Actor) -> Self:
        """The domain's actor."""
        return cls(
            subject=who.subject,
            tenant_id=strawberry.ID(who.tenant),
            kind=who.kind,
            roles=sorted(who.roles),
            scopes=sorted(who.scopes),
            own_scopes=sorted(who.own - who.scopes),
            expires_at=datetime.fromtimestamp(who.expires_at, UTC) if who.expires_at is not None else None,
            on_behalf_of=who.on_behalf_of,
        )


@strawberry.type(description="A rule: a role may do something to something in a tenant (C10).")
class PolicyRule:
    """One rule."""

    rule_id: strawberry.ID | None = attribute("For removePolicyRule; null for a checked-in rule.")
    role: str = attribute("The role.")
    domain: str = attribute("The tenant's id; * for all.")
    object: str = attribute("What it is about, as the first part of a scope says; * for everything.")
    action: str = attribute("What may be done, as the second part of a scope says; * for everything.")
    rows: Rows = attribute("On which rows.")

    @classmethod
    def of(cls, found: rules.PolicyRule) -> Self:
        """The domain's rule."""
        role, domain_, object_, action, rows = found.rule
        rule_id = strawberry.ID(str(found.rule_id)) if found.rule_id is not None else None
        return cls(rule_id=rule_id, role=role, domain=domain_, object=object_, action=action, rows=rows)


@strawberry.input(description="A rule to add.")
class PolicyRuleInput:
    """Its parts."""

    role: str = attribute("The role: there need not be one of that name yet.")
    domain: str = attribute("A tenant's id, or * for all.")
    object: str = attribute("The first part of a scope, or * for everything.")
    action: str = attribute("The second part of a scope, or * for everything.")
    rows: Rows = attribute("On which rows.")

    def rule(self) -> Rule:
        """As the domain has it."""
        return Rule(self.role, self.domain, self.object, self.action, self.rows)


@strawberry.type(description="A rule that was added or removed.")
class PolicyRulePayload:
    """What a change of the policy gives back."""

    rule: PolicyRule = attribute("The rule.")
    report: DryRunReport | None = attribute("On a dry run: what would have been done.")

    @classmethod
    def of(cls, found: rules.PolicyRule, *, dry_run: bool) -> Self:
        """The domain's answer."""
        report = DryRunReport(changes=1, quota=0, outside_calls=0) if dry_run else None
        return cls(rule=PolicyRule.of(found), report=report)
