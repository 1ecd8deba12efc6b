"""Current states, kept by reading the log: each by its own committed offset, so that it can crash and resume."""
