"""Filters: the input ``<T>Filter`` of a record, and from a client's value the expression it means."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from strawberry.types.base import get_object_definition

from lakefront.db.query import All, Around, Compare, Either, Expression, Near, Opposite, Quantifier, Related
from lakefront.graphql.declare.declarations import Column, Connected, Embedded, Listed
from lakefront.graphql.declare.inputs import add, input_type, listed
from lakefront.graphql.declare.operators import has_operators, operators_input, read_operators, refused
from lakefront.graphql.declare.protected import protected_columns
from lakefront.graphql.declare.record import Record, declared, is_list, join_of, record_of, required, unwrapped

MOST_DEPTH: Final = 10
"""Filters inside filters."""
MOST_CONDITIONS: Final = 500
"""Comparisons in one filter."""

MOST_METERS: Final = 100_000.0
LEAST_METERS: Final = 1e-6
"""Radii within these; a lesser one counts as the least, as PostgreSQL fails at numbers too small for it."""

_filters: dict[type, Any] = {}
_quantified: dict[type, Any] = {}

_near = input_type("NearInput", "A circle on the globe.")
add(_near, "latitude", float, "Of the centre, in degrees north.", required=True)
add(_near, "longitude", float, "Of the centre, in degrees east.", required=True)
add(_near, "meters", float, "The radius, at most 100,000.", required=True)


def filter_input(record: type[Record]) -> Any:
    """``<T>Filter``: the record's columns, embedded and related records, and ``and``, ``or``, ``not``."""
    found = _filters.get(record)
    if found is not None:
        return found
    name = get_object_definition(record, strict=True).name
    made = _filters[record] = input_type(
        f"{name}Filter", f"Which {name} rows: the named conditions hold together. An empty filter is an error."
    )
    for field_name, (field, declaration) in declared(record).items():
        about, scope = field.description or "", required(field)
        match declaration:
            case Column(filtered=True) if has_operators(unwrapped(field.type)):
                add(made, field_name, operators_input(unwrapped(field.type)), about, requires=scope)
            case Embedded():
                add(made, field_name, filter_input(record_of(field)), about, requires=scope)
            case Listed() if not is_list(field):
                add(made, field_name, filter_input(record_of(field)), f"It exists, and: {about}", requires=scope)
            case Connected(around=Around()):
                pass  # within which distance, a filter could not say
            case Listed() | Connected():
                add(made, field_name, _quantified_input(record_of(field)), about, requires=scope)
    if record.geo_columns is not None:
        scopes = protected_columns(record)
        scope = next((scopes[name] for name in record.geo_columns if name in scopes), None)
        add(made, "near", _near, "Within a distance of a point.", requires=scope)
    add(made, "and", listed(made), "All of these hold; at least one item.")
    add(made, "or", listed(made), "At least one of these holds; at least one item.")
    add(made, "not", made, "This does not hold: the exact complement, nulls included.")
    return made


def _quantified_input(record: type[Record]) -> Any:
    if record not in _quantified:
        name = get_object_definition(record, strict=True).name
        made = _quantified[record] = input_type(
            f"{name}ListFilter", f"How many of the related {name} rows match; several hold together. Name at least one."
        )
        add(made, "some", filter_input(record), "At least one matches.")
        add(made, "every", filter_input(record), "All match; also true when there is none.")
        add(made, "none", filter_input(record), "None matches; also true when there is none.")
    return _quantified[record]


def read_filter(record: type[Record], raw: Any, path: str = "filter") -> Expression:
    """What a client's filter means; raises ``ValidationError`` with the path of what is empty, null or too much."""
    return _Reader().read(record, raw, path, 1)


class _Reader:
    """Reads one filter, counting its conditions."""

    def __init__(self) -> None:
        self._conditions = 0

    def read(self, record: type[Record], raw: Any, path: str, depth: int) -> Expression:
        if depth > MOST_DEPTH:
            raise refused(path, f"Filters nest at most {MOST_DEPTH} deep.")
        if not isinstance(raw, Mapping) or not raw:
            raise refused(
                path, "An empty filter selects nothing in particular. Name a condition, or leave the filter out."
            )
        parts = [
            part for name, value in raw.items() for part in self._part(record, name, value, f"{path}.{name}", depth)
        ]
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _part(self, record: type[Record], name: str, value: Any, path: str, depth: int) -> Iterator[Expression]:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise refused(path, f"A filter has at most {MOST_CONDITIONS} conditions.")
        if value is None:
            raise refused(
                path, "null is no condition. Use {isNull: true} for what has no value, or leave the field out."
            )
        if name in {"and", "or"}:
            yield self._several(record, name, value, path, depth)
        elif name == "not":
            yield Opposite(self.read(record, value, path, depth + 1))
        elif name == "near":
            yield _read_near(record, value, path)
        else:
            yield from self._field(record, name, value, path, depth)

    def _several(self, record: type[Record], name: str, value: list[Any], path: str, depth: int) -> Expression:
        if not value:
            raise refused(path, "Give at least one item, or leave the field out.")
        parts = tuple(self.read(record, item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value))
        return All(parts) if name == "and" else Either(parts)

    def _field(self, record: type[Record], name: str, value: Any, path: str, depth: int) -> Iterator[Expression]:
        field, declaration = declared(record)[name]
        match declaration:
            case Column(column):
                for operator, operand in read_operators(value, path):
                    yield Compare(column, operator, operand)
            case Embedded():
                yield self.read(record_of(field), value, path, depth + 1)
            case Listed() | Connected():
                join = join_of(field, declaration)
                if not is_list(field) and isinstance(declaration, Listed):
                    yield Related(join, Quantifier.SOME, self.read(record_of(field), value, path, depth + 1))
                    return
                if not value:
                    raise refused(path, "Say how many related rows must match: {some: …}, {every: …} or {none: …}.")
                for quantifier, part in value.items():
                    inner = self.read(record_of(field), part, f"{path}.{quantifier}", depth + 1)
                    yield Related(join, Quantifier(quantifier), inner)


def _read_near(record: type[Record], raw: Mapping[str, float], path: str) -> Expression:
    assert record.geo_columns is not None, "only a place has the field near"
    latitude, longitude, meters = raw["latitude"], raw["longitude"], raw["meters"]
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 < meters <= MOST_METERS):
        raise refused(path, f"Keep latitude within ±90, longitude within ±180, meters within 0 and {MOST_METERS:.0f}.")
    return Near(*record.geo_columns, float(latitude), float(longitude), max(float(meters), LEAST_METERS))


def read_meters(meters: float | None, usual: float) -> float:
    """A distance as an argument, ``usual`` where there is none; raises ``ValidationError``."""
    if meters is None:
        return usual
    if not 0 < meters <= MOST_METERS:
        raise refused("meters", f"Give more than 0, and at most {MOST_METERS:.0f}.")
    return max(float(meters), LEAST_METERS)
