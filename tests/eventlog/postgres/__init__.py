"""Tests of the room eventlog/postgres."""
