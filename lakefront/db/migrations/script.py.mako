"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply the step."""
    ${upgrades if upgrades else "op.execute(\"\")"}


def downgrade() -> None:
    """Take the step back."""
    ${downgrades if downgrades else "op.execute(\"\")"}
