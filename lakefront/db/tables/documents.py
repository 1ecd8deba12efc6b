"""GraphQL documents that the operator trusts (L16)."""

from sqlalchemy import CheckConstraint, Column, LargeBinary, Table, Text, func

from lakefront.db.tables.base import metadata, timestamp

persisted_documents = Table(
    "persisted_documents",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    timestamp("added_at", nullable=False, server_default=func.now()),
    CheckConstraint("sha256 = sha256(convert_to(document, 'UTF8'))"),
)
"""The installation's, as its schema is: a document grants nothing, so that it is no tenant's. ``name``: its operations,
for people. Read by everybody, written by the provisioner alone; a change NOTIFYs ``lakefront_documents``."""
