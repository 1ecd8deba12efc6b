"""Batched reads: what resolvers of one operation ask for one by one goes to PostgreSQL together."""

from lakefront.loaders.loaders import Loaders

__all__ = ["Loaders"]
