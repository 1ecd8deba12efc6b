"""What waits to be told to the outside, and what could not be."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make it."""


def downgrade() -> None:
    """Remove it."""
