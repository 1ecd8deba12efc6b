"""What is asked: each shape as a document for Lakefront and as the best equivalent for PostGraphile.

Both name the root field ``found``, so that their answers can be compared.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakefront.actor import CITY
from lakefront.eventlog.projections.permits import STREAM

PAGE: Final = 20
LIST: Final = 100
LONG_LIST: Final = 1000
LAST_EVENTS: Final = 5

FIELDS: Final = "permitId status type estimatedCost filedAt neighborhood zipcode description"
EVENT_FIELDS: Final = "eventId eventType occurredAt eventData"
THEIR_EVENT_FIELDS: Final = "eventId eventType occurredAt eventData: payload"

_PAGE_FIELDS: Final = (
    f"edges {{ cursor node {{ {FIELDS} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}"
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What issue 5 asks for: times PostGraphile's requests/s, and at most times the floor's CPU."""

    connections: int
    times: float
    cpu: float | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of question. ``values``: which of the prepared lists its variable comes from."""

    name: str
    title: str
    lakefront: str
    postgraphile: str
    values: str
    goals: tuple[Goal, ...]
    paged: bool = False

    def goal(self, connections: int) -> Goal | None:
        """The goal at so many connections, if the issue names one."""
        return next((goal for goal in self.goals if goal.connections == connections), None)


def _ours(fields: str, arguments: str, variables: str = "$value: String!") -> str:
    return f"query ({variables}) {{ found: permits({arguments}) {{ {fields} }} }}"


def _theirs(field: str, fields: str, arguments: str, variables: str = "$value: String!") -> str:
    tenant = f'tenantId: "{CITY}"' if field.startswith("permit") else ""
    return f"query ({variables}) {{ found: {field}({tenant}{arguments}) {{ {fields} }} }}"


_BY_COST: Final = "filter: { neighborhood: { eq: $value } }, orderBy: [{ estimatedCost: DESC }]"
_THEIR_BY_COST: Final = "condition: { neighborhood: $value }, orderBy: [ESTIMATED_COST_DESC, PRIMARY_KEY_DESC]"
# Ties by the key in the same direction, as Lakefront breaks them: an index gives that order, read backwards.
_PAGED: Final = "$value: String!, $after: "

SHAPES: Final = (
    Shape(
        "one-row",
        "1 row by id",
        f"query ($value: ID!) {{ found: permit(permitId: $value) {{ {FIELDS} }} }}",
        _theirs("permitByTenantIdAndPermitId", FIELDS, ", permitId: $value"),
        "ids",
        (Goal(16, 2, 1.5), Goal(64, 4)),
    ),
    Shape(
        "list",
        "100 rows of 8 fields",
        _ours(f"nodes {{ {FIELDS} }}", f"{_BY_COST}, first: {LIST}"),
        _theirs("allPermitsList", FIELDS, f"{_THEIR_BY_COST}, first: {LIST}"),
        "neighborhoods",
        (Goal(16, 3, 1.2),),
    ),
    Shape(
        "nested",
        "100 rows with their last 5 events",
        _ours(
            f"nodes {{ permitId status events(first: {LAST_EVENTS}, orderBy: [{{ occurredAt: DESC }}]) "
            f"{{ nodes {{ {EVENT_FIELDS} }} }} }}",
            f"{_BY_COST}, first: {LIST}",
        ),
        _theirs(
            "allPermitsList",
            f'permitId status events: eventsList(first: {LAST_EVENTS}, condition: {{ stream: "{STREAM}" }}, '
            f"orderBy: [OCCURRED_AT_DESC, SHARD_DESC, OFFSET_DESC]) {{ {THEIR_EVENT_FIELDS} }}",
            f"{_THEIR_BY_COST}, first: {LIST}",
        ),
        "neighborhoods",
        (Goal(16, 3, 1.2),),
    ),
    Shape(
        "long-list",
        "1,000 rows of 8 fields",
        _ours(
            f"nodes {{ {FIELDS} }}",
            f"filter: {{ status: {{ eq: $value }} }}, orderBy: [{{ statusAt: DESC }}], first: {LONG_LIST}",
        ),
        _theirs(
            "allPermitsList",
            FIELDS,
            f"condition: {{ status: $value }}, orderBy: [STATUS_AT_DESC, PRIMARY_KEY_DESC], first: {LONG_LIST}",
        ),
        "statuses",
        (Goal(16, 3, 1.2),),
    ),
    Shape(
        "page",
        f"a Relay page of {PAGE}",
        _ours(_PAGE_FIELDS, f"{_BY_COST}, first: {PAGE}, after: $after", f"{_PAGED}String"),
        _theirs("allPermits", _PAGE_FIELDS, f"{_THEIR_BY_COST}, first: {PAGE}, after: $after", f"{_PAGED}Cursor"),
        "neighborhoods",
        (Goal(16, 2),),
        paged=True,
    ),
    Shape(
        "page-total",
        f"a Relay page of {PAGE} with totalCount",
        _ours(f"{_PAGE_FIELDS} totalCount", f"{_BY_COST}, first: {PAGE}, after: $after", f"{_PAGED}String"),
        _theirs(
            "allPermits",
            f"{_PAGE_FIELDS} totalCount",
            f"{_THEIR_BY_COST}, first: {PAGE}, after: $after",
            f"{_PAGED}Cursor",
        ),
        "neighborhoods",
        (Goal(16, 1.5),),
        paged=True,
    ),
    Shape(
        "groups",
        "counts in groups",
        "query ($value: String!) { found: permitStats(filter: { neighborhood: { eq: $value } }, groupBy: [STATUS]) "
        "{ groups { key { status } count } } }",
        _theirs(
            "allPermits",
            "groups: groupedAggregates(groupBy: [STATUS]) { keys count { permitId } }",
            "condition: { neighborhood: $value }",
        ),
        "neighborhoods",
        (),
    ),
)


_ZEROS: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.0+([+-]\d\d:\d\d)$")
"""A time whose fraction PostgreSQL's JSON leaves out and PostGraphile writes."""


def found(data: Mapping[str, Any]) -> Any:
    """The rows of an answer, without what differs by dialect: wrappers, cursors, the forms of times, enums, counts."""
    return _plain(data["found"])


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return (
        _object(value) if isinstance(value, dict) else _ZEROS.sub(r"\1\2", value) if isinstance(value, str) else value
    )


def _object(value: Mapping[str, Any]) -> Any:
    match value:
        case {"nodes": nodes}:
            return _plain(nodes)
        case {"groups": groups}:
            return sorted(_group(group) for group in groups)
        case {"edges": edges, "pageInfo": info}:
            # Not hasPreviousPage: going forward, PostGraphile does not look back, as Relay's specification allows.
            return [_plain(edge["node"]) for edge in edges], info["hasNextPage"], value.get("totalCount")
    return {name: one.lower() if name == "eventType" else _plain(one) for name, one in value.items()}


def _group(group: Mapping[str, Any]) -> tuple[str, int]:
    if "keys" in group:
        return group["keys"][0], int(group["count"]["permitId"])
    return group["key"]["status"], int(group["count"])
