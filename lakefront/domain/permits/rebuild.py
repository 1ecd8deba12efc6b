"""Make the permits' current state anew from the log."""

from lakefront.actor import ADMIN, Actor
from lakefront.domain.services import Services
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.eventlog.projections.runner import rebuild as rebuild_projection


async def rebuild(services: Services, actor: Actor) -> int:
    """Fold the whole log of the actor's tenant again, while serving; how many events it took. Needs the scope admin."""
    actor.require(ADMIN)
    return await rebuild_projection(services.database, actor.tenant, PERMITS)
