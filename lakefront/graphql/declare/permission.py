"""Which scope a root field requires: said at the field, read by whoever runs operations (default deny)."""

from typing import Any

import strawberry

from lakefront.graphql.fields import Requires


def permission(schema: strawberry.Schema, type_name: str, field_name: str) -> str | None:
    """The scope that ``type_name.field_name`` (GraphQL names) requires; ``None`` when it declares none."""
    definition: Any = schema.get_type_by_name(type_name)
    for field in getattr(definition, "fields", ()):
        if schema.config.name_converter.from_field(field) == field_name:
            found = field.metadata.get("requires")
            return found.scope if isinstance(found, Requires) else None
    return None
