"""Tests of lakefront.db.embedded, on real processes."""
