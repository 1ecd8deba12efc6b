"""REST doors, one file a domain: each parses, calls one domain function, and shapes its answer."""
