"""Permits: take events in, follow them, rebuild their current state."""

from lakefront.domain.permits.follow import Wanted, follow
from lakefront.domain.permits.ingest import IngestReport, Verdict, ingest
from lakefront.domain.permits.payloads import PermitEventType
from lakefront.domain.permits.rebuild import rebuild
from lakefront.eventlog.projections.permits import STREAM

__all__ = ["STREAM", "IngestReport", "PermitEventType", "Verdict", "Wanted", "follow", "ingest", "rebuild"]
