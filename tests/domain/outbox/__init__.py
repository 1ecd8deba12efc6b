"""The outbox: jobs, the worker, dead letters."""
