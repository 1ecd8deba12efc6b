"""Make the permits' current state anew from the log."""

from lakefront.actor import LAKE_MANAGE, Actor
from lakefront.db.database import Database
from lakefront.eventlog.lake.history import History
from lakefront.eventlog.projections.permits import PERMITS
from lakefront.eventlog.projections.runner import rebuild as rebuild_projection


async def rebuild(database: Database, actor: Actor, history: History | None = None) -> int:
    """Fold the whole log of the actor's tenant again, while serving; how many events it took. Needs lake:manage.

    What was trimmed from the log is read from ``history``; a trimmed log without one raises ``Unavailable``.
    """
    actor.require(LAKE_MANAGE)
    return await rebuild_projection(database, actor.tenant, PERMITS, history)
