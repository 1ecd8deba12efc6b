"""Rules of alerts: what is looked at, and when somebody is to be told (C13). Data, the built-in ones included."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Annotated, Final, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from lakefront.adapters.registry import providers
from lakefront.domain.cities import invalid


class Metric(StrEnum):
    """What a rule looks at: a number for each provider and city of the tenant."""

    QUOTA_REMAINING_PERCENT = "QUOTA_REMAINING_PERCENT"
    BREAKER_OPEN_SECONDS = "BREAKER_OPEN_SECONDS"
    CREDENTIALS_REFUSED = "CREDENTIALS_REFUSED"
    POLLER_LAG_SECONDS = "POLLER_LAG_SECONDS"
    UNCERTAIN_REQUESTS = "UNCERTAIN_REQUESTS"
    DEAD_LETTERS = "DEAD_LETTERS"
    OUTBOX_WAITING_SECONDS = "OUTBOX_WAITING_SECONDS"


class Words(NamedTuple):
    """How a summary tells of a metric; ``{value}`` is the number, ``{where}`` the provider and its city."""

    summary: str
    unit: str


TOLD: Final = {
    Metric.QUOTA_REMAINING_PERCENT: Words("{value} % of today's quota of {where} is left", "%"),
    Metric.BREAKER_OPEN_SECONDS: Words("{where} has failed for {value} s: its breaker is open", "s"),
    Metric.CREDENTIALS_REFUSED: Words("{where} refuses our credentials", "refusals"),
    Metric.POLLER_LAG_SECONDS: Words("Service requests of {where} were not asked after for {value} s", "s"),
    Metric.UNCERTAIN_REQUESTS: Words("{value} service requests of {where} may or may not have been filed", "requests"),
    Metric.DEAD_LETTERS: Words("{value} dead letters of {where} wait for a person", "letters"),
    Metric.OUTBOX_WAITING_SECONDS: Words("What is to be told to {where} has waited for {value} s", "s"),
}


class Comparison(StrEnum):
    """How the number is held against the threshold; where it holds, something is wrong."""

    LT = "LT"
    LTE = "LTE"
    GT = "GT"
    GTE = "GTE"

    def holds(self, value: float, threshold: float) -> bool:
        """Whether ``value`` is beyond ``threshold``."""
        match self:
            case Comparison.LT:
                return value < threshold
            case Comparison.LTE:
                return value <= threshold
            case Comparison.GT:
                return value > threshold
            case Comparison.GTE:
                return value >= threshold


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert fires where the metric of a ``provider`` (None: of any) was beyond the threshold for ``for_seconds``.

    ``level`` 1 is the worst of three. ``version`` 0: built in, and never changed.
    """

    rule_id: str
    metric: Metric
    comparison: Comparison
    threshold: float
    for_seconds: int = 0
    level: int = 2
    provider: str | None = None
    enabled: bool = True
    version: int = 0
    updated_at: datetime | None = None
    updated_by: str | None = None

    @property
    def built_in(self) -> bool:
        """Whether it is there without a row."""
        return self.rule_id in BUILT_IN

    def beyond(self, value: float) -> bool:
        """Whether something is wrong."""
        return self.comparison.holds(value, self.threshold)


BUILT_IN: Final = {
    rule.rule_id: rule
    for rule in (
        Rule("quota-low", Metric.QUOTA_REMAINING_PERCENT, Comparison.LTE, 10),
        Rule("breaker-open", Metric.BREAKER_OPEN_SECONDS, Comparison.GT, 300, level=1),
        Rule("poller-behind", Metric.POLLER_LAG_SECONDS, Comparison.GT, 3 * 3600),
        Rule("credentials-refused", Metric.CREDENTIALS_REFUSED, Comparison.GT, 0),
        Rule("requests-uncertain", Metric.UNCERTAIN_REQUESTS, Comparison.GT, 0),
        Rule("dead-letters", Metric.DEAD_LETTERS, Comparison.GT, 0),
    )
}
"""C13's, C3's ("401/403 alert") and C12's. A row of the same id takes one's place."""

MOST_RULES: Final = 200
"""Rules of one tenant."""

LONGEST_WAIT: Final = 7 * 86_400
"""Seconds."""

_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,62}[a-z0-9]", re.ASCII)
_LARGEST: Final = 1e300


class RuleInput(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule as it is to be; what is left out stays as it is, or in a new rule is: at once, level 2, enabled.

    A new rule needs ``metric``, ``comparison`` and ``threshold``. ``provider``: None for any.
    """

    rule_id: str
    metric: Metric | UnsetType = UNSET
    comparison: Comparison | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    for_seconds: Annotated[int, Meta(ge=0, le=LONGEST_WAIT)] | UnsetType = UNSET
    level: Annotated[int, Meta(ge=1, le=3)] | UnsetType = UNSET
    provider: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


def merged(given: RuleInput, old: Rule | None) -> Rule:
    """The rule as it is to be: what is given over what is there. Raises ``ValidationError``."""
    _check(given)
    wanted = {name: getattr(given, name) for name in _CHANGEABLE if getattr(given, name) is not UNSET}
    if old is None:
        if lacking := [name for name in ("metric", "comparison", "threshold") if name not in wanted]:
            raise invalid(lacking[0], f"A new rule needs {', '.join(lacking)}.")
        return Rule(given.rule_id, **wanted)
    if old.built_in and wanted.get("metric", old.metric) is not old.metric:
        raise invalid("metric", f"The rule {old.rule_id} is about {old.metric.value}. Give another one its own ruleId.")
    return replace(old, **wanted)


_CHANGEABLE: Final = ("metric", "comparison", "threshold", "for_seconds", "level", "provider", "enabled")


def _check(given: RuleInput) -> None:
    if not _ID.fullmatch(given.rule_id):
        raise invalid("ruleId", "Give 2 to 64 small letters, digits and hyphens, as quota-of-geoclient.")
    if given.threshold is not UNSET and not (isfinite(given.threshold) and abs(given.threshold) <= _LARGEST):
        raise invalid("threshold", "Give a finite number.")
    if given.for_seconds is not UNSET and not 0 <= given.for_seconds <= LONGEST_WAIT:
        raise invalid("forSeconds", f"Give 0 to {LONGEST_WAIT} seconds.")
    if given.level is not UNSET and not 1 <= given.level <= 3:
        raise invalid("level", "A level is 1 (worst), 2 or 3.")
    if isinstance(given.provider, str) and given.provider not in providers():
        raise invalid("provider", f"There is no adapter '{given.provider[:40]}'. There is: {', '.join(providers())}.")
