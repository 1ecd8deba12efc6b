"""Reading tables, on real PostgreSQL."""
