"""What use-cases work with: made once by the server's lifespan, handed to every domain function."""

from dataclasses import dataclass, field

from lakefront.db.database import Database
from lakefront.domain.meters import Meters
from lakefront.domain.quotas import Quotas
from lakefront.eventlog.driver import EventLog
from lakefront.eventlog.projections.progress import Progress
from lakefront.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """What use-cases share: settings, the application's database, the log, how far projections are, quotas, meters."""

    settings: Settings
    database: Database
    log: EventLog
    progress: Progress
    quotas: Quotas
    meters: Meters = field(default_factory=Meters)
