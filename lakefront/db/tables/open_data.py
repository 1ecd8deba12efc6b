"""Published data sets (C5): their imports, what is known of each row, and the food inspections that came of them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

_COUNT = text("0")

open_data_imports = Table(
    "open_data_imports",
    metadata,
    *tenant(),
    Column("import_id", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("state", Text, nullable=False),
    timestamp("since"),
    Column("place", JSONB, nullable=False),
    Column("rows_total", BigInteger),
    Column("rows_read", BigInteger, nullable=False, server_default=_COUNT),
    Column("accepted", BigInteger, nullable=False, server_default=_COUNT),
    Column("duplicates", BigInteger, nullable=False, server_default=_COUNT),
    Column("rejected", BigInteger, nullable=False, server_default=_COUNT),
    Column("problems", JSONB, nullable=False, server_default=text("'[]'")),
    timestamp("requested_at", nullable=False, server_default=func.now()),
    Column("requested_by", Text, nullable=False),
    timestamp("started_at"),
    timestamp("ended_at"),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("trace_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("told", BigInteger, nullable=False, server_default=_COUNT),
    Column("failures", Integer, nullable=False, server_default=_COUNT),
    timestamp("due_at", nullable=False, server_default=func.now()),
    Column("lease", Uuid),
    timestamp("leased_until"),
    CheckConstraint("state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')"),
)
"""One row an import. ``place``: the adapter's ``Place``, from which to go on; at the end, where the next one begins.

``version`` grows by 1 with whatever is told of an import, and ``told`` is the last one whose event is in the log.
``lease`` names who runs it, until ``leased_until``: whoever writes checks it in the same statement. ``failures`` in a
row are waited for until ``due_at``. A row that is queued or cancelled NOTIFYs ``lakefront_open_data``."""

Index(
    "open_data_imports_under_way",
    *(open_data_imports.c[name] for name in ("tenant_id", "dataset", "city")),
    unique=True,
    postgresql_where=text("state IN ('QUEUED', 'RUNNING')"),
)
Index(
    "open_data_imports_by_dataset",
    *(open_data_imports.c[name] for name in ("tenant_id", "dataset", "city", "requested_at")),
)
Index(
    "open_data_imports_by_requested_at",
    *(open_data_imports.c[name] for name in ("tenant_id", "requested_at", "import_id")),
)
Index(
    "open_data_imports_waiting",
    open_data_imports.c.due_at,
    postgresql_where=text("state IN ('QUEUED', 'RUNNING') OR told < version"),
)

open_data_rows = Table(
    "open_data_rows",
    metadata,
    *tenant(),
    Column("dataset", Text, primary_key=True),
    Column("row_key", Text, primary_key=True),
    Column("digest", Uuid, nullable=False),
    timestamp("updated_at", nullable=False),
)
"""The newest of each row that was taken in: its natural key, what it says (a hash), and when its publisher changed it.
By it a row that says what it said before is no event."""

food_inspections = Table(
    "food_inspections",
    metadata,
    *tenant(),
    Column("inspection_id", Text, primary_key=True),
    Column("city", Text, nullable=False),
    Column("restaurant_id", Text, nullable=False),
    Column("restaurant_name", Text),
    Column("cuisine", Text),
    Column("building", Text),
    Column("street", Text),
    Column("borough", Text),
    Column("postal_code", Text),
    Column("community_board", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("inspected_on", Date),
    Column("inspection_type", Text),
    Column("action", Text),
    Column("violation_code", Text),
    Column("violation", Text),
    Column("critical", Boolean),
    Column("score", Integer),
    Column("grade", Text),
    Column("graded_on", Date),
    timestamp("updated_at", nullable=False),
)
"""One row a violation that an inspection found (or an inspection that found none), as the publisher has it now."""

Index(
    "food_inspections_by_date",
    *(food_inspections.c[name] for name in ("tenant_id", "inspected_on", "inspection_id")),
)
Index(
    "food_inspections_by_restaurant",
    *(food_inspections.c[name] for name in ("tenant_id", "restaurant_id", "inspected_on")),
)
Index(
    "food_inspections_by_borough",
    *(food_inspections.c[name] for name in ("tenant_id", "borough", "grade", "inspection_id")),
)
Index("food_inspections_by_latitude", *(food_inspections.c[name] for name in ("tenant_id", "latitude", "longitude")))
