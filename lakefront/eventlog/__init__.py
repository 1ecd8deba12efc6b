"""The log: append, read, follow; its drivers, and what is made of it (projections)."""
