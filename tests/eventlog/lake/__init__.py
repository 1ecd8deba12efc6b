"""Tests of the lake, on real PostgreSQL and a real store."""
