"""Tests of lakefront.db."""
