"""The data sets that can be imported, declared as data (C5). A new one is an entry in ``DATA_SETS``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lakefront.adapters.opendata import checked_dataset
from lakefront.errors import NotFound


class Form(StrEnum):
    """What a column's text stands for; columns that are not declared stay as they are published."""

    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    """A time of the city's clocks, which the publisher writes without a zone."""


class Kind(StrEnum):
    """What a data set's rows are, besides events of a stream."""

    SERVICE_REQUEST = "service_request"
    FOOD_INSPECTION = "food_inspection"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A published data set: how its rows are told apart, read, and made events of.

    ``provider``: whose service requests they are, where they are some: the city's 311, whichever way a row comes.
    ``natural_key``: the columns that name what a row is about, for ever; the ``needed`` ones of them are never empty.
    ``happened``: columns of which the latest tells when the event occurred; where none is there, when it was published.
    ``noise``: columns whose change alone is none. ``forms``: what columns stand for.
    """

    dataset: str
    title: str
    city: str
    time_zone: str
    kind: Kind
    provider: str = ""
    natural_key: tuple[str, ...]
    needed: tuple[str, ...]
    happened: tuple[str, ...]
    forms: Mapping[str, Form]
    noise: frozenset[str] = field(default_factory=frozenset)

    @property
    def stream(self) -> str:
        """The stream of the log that its rows are events of."""
        return f"open-data-{self.dataset}"


_PLACE: Final = {"latitude": Form.NUMBER, "longitude": Form.NUMBER}
_REQUEST: Final[Mapping[str, Form]] = MappingProxyType(
    dict.fromkeys(("created_date", "closed_date", "due_date", "resolution_action_updated_date"), Form.MOMENT)
    | dict.fromkeys(("x_coordinate_state_plane", "y_coordinate_state_plane"), Form.INTEGER)
    | _PLACE
)
_INSPECTION: Final[Mapping[str, Form]] = MappingProxyType(
    dict.fromkeys(("inspection_date", "grade_date"), Form.DATE) | {"score": Form.INTEGER} | _PLACE
)


def _requests(dataset: str, title: str) -> DataSet:
    return DataSet(
        dataset=dataset,
        title=title,
        city="nyc",
        time_zone="America/New_York",
        kind=Kind.SERVICE_REQUEST,
        provider="nyc311",
        natural_key=("unique_key",),
        needed=("unique_key", "created_date"),
        happened=("created_date", "closed_date", "resolution_action_updated_date"),
        forms=_REQUEST,
    )


_DECLARED: Final = (
    _requests("erm2-nwe9", "311 service requests of New York since 2020"),
    _requests("76ig-c548", "311 service requests of New York, 2010 to 2019"),
    DataSet(
        dataset="43nn-pn8j",
        title="Food inspections of New York's restaurants",
        city="nyc",
        time_zone="America/New_York",
        kind=Kind.FOOD_INSPECTION,
        natural_key=("camis", "inspection_date", "inspection_type", "violation_code"),
        needed=("camis", "inspection_date"),
        happened=("inspection_date",),
        forms=_INSPECTION,
        noise=frozenset({"record_date"}),  # the day of publication, another one each day in every row
    ),
)

DATA_SETS: Final[Mapping[str, DataSet]] = MappingProxyType({each.dataset: each for each in _DECLARED})
"""Data sets by their ids, in the order in which they are listed."""


def data_set(dataset: str) -> DataSet:
    """The data set of that id; raises ``ValidationError`` for what is no id, ``NotFound`` for one not declared."""
    found = DATA_SETS.get(checked_dataset(dataset))
    if found is None:
        raise NotFound(f"There is no data set '{dataset}' here. openDataSets lists those that can be imported.")
    return found
