"""An integration as GraphQL tells it, and as it is given: credentials come in, and never out."""

from datetime import datetime
from typing import Self

import strawberry
from msgspec import UNSET as LEFT_OUT
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from lakefront.adapters.base import Adapter
from lakefront.domain import integrations as domain
from lakefront.graphql.declare.operators import refused
from lakefront.graphql.fields import attribute
from lakefront.graphql.reports import DryRunReport
from lakefront.graphql.scalars import Secret


@strawberry.type(description="A credential that an integration may have. What it is, nobody is told.")
class IntegrationCredential:
    """Whether it is set."""

    name: str = attribute("Its name.")
    description: str = attribute("What it is; empty for one that the adapter does not know any more.")
    required: bool = attribute("Whether the outside system cannot be called without it.")
    set_at: datetime | None = attribute("When it was set; null if it is not.")

    @classmethod
    def of(cls, one: domain.CredentialState) -> Self:
        """The domain's credential."""
        return cls(name=one.name, description=one.description, required=one.required, set_at=one.set_at)


@strawberry.type(description="How your tenant reaches an outside system (C7).")
class Integration:
    """One integration."""

    provider: strawberry.ID = attribute("The outside system: nyc311, geoclient, openweather, …")
    title: str = attribute("What people call it.")
    city: strawberry.ID = attribute("The city that it is of, by its slug; empty for a system of no city.")
    base_url: str = attribute("Where it is. Credentials are sent to no other host than this.")
    api_version: str = attribute("The form of its API that is spoken.")
    credentials: list[IntegrationCredential] = attribute("Which credentials it may have, and which are set.")
    quota_daily: int | None = attribute("Most calls of a UTC day; null: no bound.")
    enabled: bool = attribute("Whether it is called at all.")
    version: int = attribute("Grows by 1 with each change.")
    created_at: datetime = attribute("When it was added.")
    updated_at: datetime = attribute("When it was last changed.")
    updated_by: str = attribute("Who changed it last.")

    @classmethod
    def of(cls, it: domain.Integration) -> Self:
        """The domain's integration."""
        return cls(
            provider=strawberry.ID(it.provider),
            title=it.title,
            city=strawberry.ID(it.city),
            base_url=it.base_url,
            api_version=it.api_version,
            credentials=[IntegrationCredential.of(one) for one in it.credentials],
            quota_daily=it.quota_daily,
            enabled=it.enabled,
            version=it.version,
            created_at=it.created_at,
            updated_at=it.updated_at,
            updated_by=it.updated_by,
        )


@strawberry.type(description="An outside system that can be set up here: there is an adapter for it.")
class IntegrationProvider:
    """What an adapter says of itself."""

    provider: strawberry.ID = attribute("Its name here.")
    title: str = attribute("What people call it.")
    city_bound: bool = attribute("Whether it is of a city, so that each city has an integration of its own.")
    default_base_url: str = attribute("Where it is, unless an integration says otherwise.")
    api_versions: list[str] = attribute("The forms of its API that are spoken; the first is the default.")
    quota_daily: int | None = attribute("Most calls of a UTC day, unless an integration says otherwise.")
    credentials: list[IntegrationCredential] = attribute("The credentials that it takes; none of them is set here.")

    @classmethod
    def of(cls, adapter: type[Adapter]) -> Self:
        """The adapter's own words."""
        return cls(
            provider=strawberry.ID(adapter.provider),
            title=adapter.title,
            city_bound=adapter.city_bound,
            default_base_url=adapter.default_base_url,
            api_versions=list(adapter.api_versions),
            quota_daily=adapter.quota_daily,
            credentials=[IntegrationCredential.of(one) for one in domain.credentials_of(adapter)],
        )


@strawberry.input(description="A credential that is given.")
class CredentialInput:
    """Its name and value."""

    name: str = strawberry.field(description="Its name: integrationProviders tells which there are.")
    value: Secret | None = strawberry.field(description="What it is: 1 to 8,192 printable characters. Null removes it.")

    def __repr__(self) -> str:
        """Without the value."""
        return f"CredentialInput({self.name!r})"


@strawberry.input(
    description="An integration as it is to be. What is left out stays as it is, or is the adapter's default in a new "
    "one."
)
class IntegrationInput:
    """An integration."""

    provider: strawberry.ID = strawberry.field(description="The outside system.")
    city: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The city that it is of, by its slug; for a system of no city, leave it out."
    )
    base_url: str | None = strawberry.field(
        default=UNSET,
        description="Where it is (https). At another host than before, give all credentials anew. Null: the default.",
    )
    api_version: str | None = strawberry.field(
        default=UNSET, description="The form of its API that is to be spoken. Null: the default."
    )
    credentials: list[CredentialInput] | None = strawberry.field(
        default=UNSET, description="Credentials to be set or removed; the others stay."
    )
    quota_daily: int | None = strawberry.field(default=UNSET, description="Most calls of a UTC day. Null: no bound.")
    enabled: bool | None = strawberry.field(default=UNSET, description="Whether it is to be called at all.")

    def integration(self) -> domain.IntegrationInput:
        """As the domain takes it; raises ``ValidationError`` for a credential that is given twice."""
        return domain.IntegrationInput(
            provider=str(self.provider),
            city=str(self.city or ""),
            base_url=LEFT_OUT if self.base_url is UNSET else self.base_url,
            api_version=LEFT_OUT if self.api_version is UNSET else self.api_version,
            credentials=by_name(self.credentials or []),
            quota_daily=LEFT_OUT if self.quota_daily is UNSET else self.quota_daily,
            enabled=LEFT_OUT if self.enabled is UNSET or self.enabled is None else self.enabled,
        )


def by_name(given: list[CredentialInput]) -> dict[str, str | None]:
    """Name -> value; raises ``ValidationError`` for a name that is given twice."""
    found: dict[str, str | None] = {one.name: one.value for one in given}
    if len(found) < len(given):
        raise refused("credentials", "Give each credential once.")
    return found


@strawberry.type(description="An integration that was added or changed.")
class IntegrationPayload:
    """The integration, and what is new of it."""

    integration: Integration = strawberry.field(description="The integration; on a dry run as it would be.")
    created: bool = strawberry.field(description="Whether it was not there before.")
    changed: list[str] = strawberry.field(description="What is new of it: the names of fields, credentials.<name>.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, change: domain.Change, *, dry_run: bool) -> Self:
        """What the domain did, or would have done."""
        report = DryRunReport(changes=1 if change.changed else 0, quota=0, outside_calls=0)
        return cls(
            integration=Integration.of(change.integration),
            created=change.created,
            changed=[name if "." in name else to_camel_case(name) for name in change.changed],
            report=report if dry_run else None,
        )


@strawberry.type(description="How a harmless call of an integration went. A failure is an answer, and no error.")
class TestIntegrationPayload:
    """The trial."""

    ok: bool | None = strawberry.field(description="Whether it answered as it should; null on a dry run.")
    error_code: str | None = strawberry.field(description="What went wrong, by its code; null if nothing did.")
    message: str = strawberry.field(description="What happened, and what to do next.")
    seconds: float = strawberry.field(description="How long it took.")
    report: DryRunReport | None = strawberry.field(description="On a dry run: what would have been done.")

    @classmethod
    def of(cls, trial: domain.Trial) -> Self:
        """How it went."""
        return cls(
            ok=trial.ok,
            error_code=trial.error_code,
            message=trial.message,
            seconds=trial.seconds,
            report=None if trial.ok is not None else DryRunReport(changes=0, quota=0, outside_calls=1),
        )
