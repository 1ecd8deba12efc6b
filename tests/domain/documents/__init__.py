"""Persisted documents."""
