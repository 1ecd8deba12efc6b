"""A made-up city: something to look at on a fresh server."""
