"""What use-cases work with: made once by the server's lifespan, handed to every domain function."""

from dataclasses import dataclass

from lakefront.db.database import Database
from lakefront.eventlog.driver import EventLog
from lakefront.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The parts below the domain: settings, the application's database, the log."""

    settings: Settings
    database: Database
    log: EventLog
