"""Alerts: their rules, and what fires."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """Remove it."""
