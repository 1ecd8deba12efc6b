"""Tests of lakefront.graphql.plan."""
