"""Service requests: where they can go, how they are filed once, followed, recorded and told to the log."""
