"""Shared subscriptions: one source and one execution of each event for all who ask the same with the same rights."""
