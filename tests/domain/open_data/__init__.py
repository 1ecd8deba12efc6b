"""Tests of ``lakefront.domain.open_data``."""
