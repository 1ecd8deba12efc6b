"""Tests of the express way: what it answers, and how it ends."""
