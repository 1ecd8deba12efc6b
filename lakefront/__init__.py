"""Lakefront: a GraphQL-first data lake server for a city and the businesses in it.

The rooms are floors: ``server`` > ``graphql`` > ``loaders`` > ``domain`` > ``eventlog`` > ``adapters`` | ``db`` > the
ground (``settings``, ``errors``, ``actor``). A room imports only from floors below it; see ARCHITECTURE.md.
"""

__version__ = "0.1.0"
