"""The made-up city, for loaders."""

from tests.graphql.conftest import city, recorder

__all__ = ["city", "recorder"]
