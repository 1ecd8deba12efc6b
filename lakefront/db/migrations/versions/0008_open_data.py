"""Imports of published data sets."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """Remove it."""
