"""Persisted documents: those that the operator trusts, under the SHA-256 of their text, which PostgreSQL checks itself.

They are the installation's, not a tenant's: everybody may read them, the provisioner alone writes them.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    """
CREATE TABLE lakefront.persisted_documents (
  sha256 bytea PRIMARY KEY,
  name text NOT NULL,
  document text NOT NULL,
  added_at timestamptz NOT NULL DEFAULT now(),
  CHECK (sha256 = sha256(convert_to(document, 'UTF8')))
)
""",
    """
CREATE FUNCTION lakefront.documents_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lakefront_documents', '');
  RETURN NULL;
END $$
""",
    """
CREATE TRIGGER documents_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lakefront.persisted_documents
EXECUTE FUNCTION lakefront.documents_changed()
""",
    "ALTER TABLE lakefront.persisted_documents OWNER TO lakefront_owner",
    "GRANT SELECT ON lakefront.persisted_documents TO lakefront_app",
    "GRANT SELECT, INSERT, DELETE ON lakefront.persisted_documents TO lakefront_provisioner",
)
# Whoever changes a document, by whatever way: every server hears of it. A document is never updated: it would have
# another name.


def upgrade() -> None:
    """Make it."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE lakefront.persisted_documents")
    op.execute("DROP FUNCTION lakefront.documents_changed")
