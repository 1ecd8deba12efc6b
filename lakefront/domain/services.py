"""What use-cases work with: made once by the server's lifespan, handed to every domain function."""

from dataclasses import dataclass, field

from lakefront.adapters.calls import Calls
from lakefront.adapters.objects import ObjectStore
from lakefront.db.database import Database
from lakefront.domain.answers import Answers
from lakefront.domain.documents import Documents
from lakefront.domain.integrations import Endpoints
from lakefront.domain.meters import Meters
from lakefront.domain.quotas import Quotas
from lakefront.domain.rights import Rights
from lakefront.domain.tenants.allowances import Allowances
from lakefront.domain.tenants.directory import Directory
from lakefront.eventlog.driver import EventLog
from lakefront.eventlog.projections.progress import Progress
from lakefront.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """What use-cases share: settings, database, log, how far projections are, quotas, the lake's objects, meters.

    ``database`` is the application's, which sees one tenant at a time; ``provisioner`` sees and makes tenants.
    ``signing_in`` is under the provisioner's role, too, and for short looks alone that nothing can keep waiting: which
    tenants there are, and whose a secret is. Who else waits for the provisioner must keep nobody from signing in.
    """

    settings: Settings
    database: Database
    log: EventLog
    progress: Progress
    quotas: Quotas
    objects: ObjectStore
    provisioner: Database
    signing_in: Database
    directory: Directory
    rights: Rights
    meters: Meters = field(default_factory=Meters)
    allowances: Allowances = field(default_factory=Allowances)
    documents: Documents = field(default_factory=Documents)
    endpoints: Endpoints = field(default_factory=Endpoints)
    calls: Calls = field(default_factory=Calls)
    answers: Answers = field(default_factory=Answers)
