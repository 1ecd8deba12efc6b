"""The root fields by which people manage and ask about access: they never count against a tenant's day (T5).

A tenant whose requests of the day are used up must still be able to revoke a key that leaked, and to see why it is
refused. What holds for a minute (C11, L16) holds for these as for all others.
"""

from typing import Final

from graphql import DocumentNode, OperationDefinitionNode

from lakefront.graphql.rate_limits import root_fields

MANAGES_ACCESS: Final = frozenset(
    {
        *("me", "tenant", "tenants", "tenantUsage", "apiKeys", "policyRules"),
        *("createApiKey", "rotateApiKey", "revokeApiKey"),
        *("createBiLogin", "rotateBiLogin", "dropBiLogin"),
        *("dryRunTenant", "onboardTenant", "suspendTenant", "resumeTenant", "changeTenantPlan"),
        *("addPolicyRule", "removePolicyRule"),
    }
)
"""REST doors name the one that does the same."""


def manages_access(document: DocumentNode, operation: OperationDefinitionNode) -> bool:
    """Whether all root fields of the (valid) operation are such, ``__typename`` aside."""
    names = {name for name, _ in root_fields(document, operation)} - {"__typename"}
    return bool(names) and names <= MANAGES_ACCESS
