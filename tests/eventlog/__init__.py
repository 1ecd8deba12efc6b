"""Tests of the room eventlog/."""
