"""Make the permits' current state anew from the log."""

from lakefront.actor import ADMIN, Actor
from lakefront.db.database import Database
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.eventlog.projections.runner import rebuild as rebuild_projection


async def rebuild(database: Database, actor: Actor) -> int:
    """Fold the whole log of the actor's tenant again, while serving; how many events it took. Needs the scope admin."""
    actor.require(ADMIN)
    return await rebuild_projection(database, actor.tenant, PERMITS)
