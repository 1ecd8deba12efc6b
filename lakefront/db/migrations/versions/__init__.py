"""The steps; names begin with their number."""
