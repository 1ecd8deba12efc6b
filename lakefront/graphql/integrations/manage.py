"""The mutations of integrations. No answer ever holds a credential."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.domain import integrations
from lakefront.graphql.context import Info
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import given, mutation
from lakefront.graphql.integrations.types import (
    CredentialInput,
    IntegrationInput,
    IntegrationPayload,
    TestIntegrationPayload,
    by_name,
)

Provider = Annotated[strawberry.ID, strawberry.argument(description="The outside system.")]
City = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The city that it is of, by its slug; leave it out where it is of none."),
]
IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(description="The same key with the same arguments changes nothing more."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Check and report, but change nothing.")]


@strawberry.type
class Mutation:
    """What can be done about integrations."""

    @mutation(
        "Add an integration, or change the one of that provider and city. All servers take it within a second.",
        requires=INTEGRATIONS_MANAGE,
        limit="30/minute",
    )
    async def upsert_integration(
        self,
        info: Info,
        integration: Annotated[IntegrationInput, strawberry.argument(name="input", description="The integration.")],
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> IntegrationPayload:
        """The one use-case, as REST calls it."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        wanted = integration.integration()
        change = await integrations.upsert(services, actor, wanted, idempotency_key=key, dry_run=dry)
        return IntegrationPayload.of(change, dry_run=dry)

    @mutation(
        "Put new credentials in place of those of the same names, which are gone then; the others stay. All servers "
        "use them within a second.",
        requires=INTEGRATIONS_MANAGE,
        limit="30/minute",
    )
    async def rotate_integration_key(
        self,
        info: Info,
        provider: Provider,
        credentials: Annotated[list[CredentialInput], strawberry.argument(description="The new credentials.")],
        city: City = UNSET,
        idempotency_key: IdempotencyKey = UNSET,
        dry_run: DryRun = False,
    ) -> IntegrationPayload:
        """The one use-case, as REST calls it."""
        services, actor, key, dry = info.context.services, info.context.actor, given(idempotency_key), bool(dry_run)
        values = {name: value for name, value in by_name(credentials).items() if value is not None}
        if len(values) < len(credentials):
            raise refused("credentials", "Give a new value for each; upsertIntegration removes credentials.")
        change = await integrations.rotate(
            *(services, actor, str(provider), str(given(city) or ""), values), idempotency_key=key, dry_run=dry
        )
        return IntegrationPayload.of(change, dry_run=dry)

    @mutation(
        "Make a harmless call of an integration, be it disabled, to see whether its base URL and credentials hold. It "
        "counts in the integration's own quota.",
        requires=INTEGRATIONS_MANAGE,
        limit="10/minute",
    )
    async def test_integration(
        self, info: Info, provider: Provider, city: City = UNSET, dry_run: DryRun = False
    ) -> TestIntegrationPayload:
        """The one use-case, as REST calls it."""
        services, actor = info.context.services, info.context.actor
        where = (str(provider), str(given(city) or ""))
        trial = await integrations.try_out(services, actor, *where, dry_run=bool(dry_run))
        return TestIntegrationPayload.of(trial)
