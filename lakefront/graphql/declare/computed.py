"""Computed fields: their sources learn what they are in SQL."""

from lakefront.db.query import Source
from lakefront.graphql.declare.declarations import Computed, Embedded
from lakefront.graphql.declare.record import declared, record_of


def compute(cls: type, source: Source) -> None:
    """Tell ``source`` what the computed fields of ``cls`` are, and of the records embedded in it.

    Raises ``TypeError`` with the field's name for what cannot be computed.
    """
    for name, (field, declaration) in declared(cls).items():
        match declaration:
            case Embedded():
                compute(record_of(field), source)
            case Computed(column):
                try:
                    source.compute(column, declaration.expression(source.table))
                except (TypeError, AttributeError, KeyError) as wrong:
                    raise TypeError(f"{cls.__name__}.{name}: {wrong}") from wrong
