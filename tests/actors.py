"""Actors as tests need them: with what a role grants by the checked-in policy."""

from lakefront.actor import CITY, Actor
from lakefront.domain.rights import DEFAULT


def of_role(role: str, tenant: str = CITY, *, subject: str = "somebody") -> Actor:
    """Somebody of ``tenant`` who has ``role``."""
    granted = DEFAULT.granted([role], tenant)
    return Actor(subject, tenant, granted.scopes, roles=frozenset({role}), own=granted.own)
