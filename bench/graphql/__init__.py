"""GraphQL reads: Lakefront beside PostGraphile 5 and beside hand-written SQL, on one PostgreSQL and the same rows."""
