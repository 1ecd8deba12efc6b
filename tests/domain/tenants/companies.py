"""Companies that become tenants in tests."""

from typing import Any

from lakefront.actor import Actor
from lakefront.domain.services import Services
from lakefront.domain.tenants.configuration import Configuration
from lakefront.domain.tenants.onboarding import Onboarded, dry_run, onboard

ACME = Configuration("acme_corp", "Acme Corporation", "admin@acme.example", "PROFESSIONAL")


def company(tenant_id: str = "acme_corp", **changes: Any) -> Configuration:
    """A configuration that passes every check, but for what is changed."""
    values = {"company_name": ACME.company_name, "admin_email": ACME.admin_email, "subscription_plan": "FREE"}
    return Configuration(tenant_id, **(values | changes))


async def settled(services: Services, actor: Actor, configuration: Configuration = ACME) -> Onboarded:
    """The tenant, onboarded as the document says: dry run first."""
    report = await dry_run(services, actor, configuration)
    assert report.ok, report
    return await onboard(services, actor, configuration)
