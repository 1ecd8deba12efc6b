"""Open data (C5): published data sets, imported page by page into the log and into tables, and kept up.

``datasets`` declares them; ``imports`` is what can be asked for; ``runner`` carries it out, ``taking`` takes a page in.
"""

from lakefront.domain.open_data.datasets import DATA_SETS, DataSet, Kind, data_set
from lakefront.domain.open_data.imports import (
    CHANNEL,
    HIDDEN,
    Asked,
    ImportState,
    ask_for,
    cancel,
    data_sets,
    find,
    latest,
)
from lakefront.domain.open_data.progress import SCOPE, STREAM
from lakefront.domain.open_data.runner import OpenDataRunner

__all__ = [
    "CHANNEL",
    "DATA_SETS",
    "HIDDEN",
    "SCOPE",
    "STREAM",
    "Asked",
    "DataSet",
    "ImportState",
    "Kind",
    "OpenDataRunner",
    "ask_for",
    "cancel",
    "data_set",
    "data_sets",
    "find",
    "latest",
]
