"""What use-cases work with: made once by the server's lifespan, handed to every domain function."""

from dataclasses import dataclass, field

from lakefront.adapters.objects import ObjectStore
from lakefront.db.database import Database
from lakefront.domain.meters import Meters
from lakefront.domain.quotas import Quotas
from lakefront.eventlog.driver import EventLog
from lakefront.eventlog.projections.progress import Progress
from lakefront.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """What use-cases share: settings, database, log, how far projections are, quotas, the lake's objects, meters."""

    settings: Settings
    database: Database
    log: EventLog
    progress: Progress
    quotas: Quotas
    objects: ObjectStore
    meters: Meters = field(default_factory=Meters)
