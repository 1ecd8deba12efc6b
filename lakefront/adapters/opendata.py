"""Rows of published data sets, whoever publishes them (C5)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from lakefront.adapters.dto import Dto, Moment
from lakefront.errors import ValidationError

PAGE: Final = 10_000
"""Rows of one page."""

_DATASET: Final = re.compile(r"[a-z0-9]{4}-[a-z0-9]{4}", re.ASCII)


class Place(Dto):
    """Where a reader is in a data set: in the rows that changed after ``since``, behind the row ``after``.

    It is all that an import has to remember to go on after it was killed. The default is before all rows.
    """

    since: Moment | None = None
    """The watermark: when the newest row changed, as the round before began; None: there was none."""
    after: str | None = None
    """``:id`` of the last row of the page before; None: a round begins."""
    until: Moment | None = None
    """When the newest row changed as this round began. It is the next watermark, and not the newest that the round
    meets: a row behind which the reader is already may have changed before that one."""


class Row(Dto):
    """A row as it was published; columns that are null may be missing."""

    id: str
    """The publisher's own name for it, which a replacement of the whole data set changes: natural keys do not."""
    updated_at: Moment
    columns: Mapping[str, Any]


class Page(Dto):
    """Some rows, in the order of their ids."""

    rows: tuple[Row, ...]
    next: Place
    """Where to go on: on the next page, or where this was the last one, at the beginning of the next round."""
    last: bool
    """Whether there are no more rows now."""


def checked_dataset(dataset: str) -> str:
    """The data set's id; raises ``ValidationError`` for what is none."""
    if not _DATASET.fullmatch(dataset):
        message = "A data set is named by its four-by-four id, as in its address: erm2-nwe9."
        raise ValidationError(message, details=[{"field": "dataset", "message": message}])
    return dataset


def fixed(moment: datetime) -> str:
    """A time in UTC as SoQL's fixed timestamps are written, to the millisecond that publishers keep."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
