"""Random valid operations over the whole schema, asked on every tier: all must give the same answer."""
