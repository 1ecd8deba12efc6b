"""Service requests, their history, and who reported them."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """Remove it."""
