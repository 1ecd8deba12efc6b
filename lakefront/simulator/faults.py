"""Faults on demand: what goes wrong, where, how often; drawn from the seed, so that a run can be had again (C14)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from lakefront.errors import ValidationError


class Kind(StrEnum):
    """What can go wrong. ``seconds`` and ``status`` of a ``Fault`` say how much, where it matters."""

    LATENCY = "latency"
    """``seconds`` pass before anything happens; other faults may strike as well."""
    CLOCK_SKEW = "clock-skew"
    """The system's clock is ``seconds`` ahead (or behind): in the Date header and in what it writes."""
    RESET_BEFORE = "reset-before"
    """The connection is reset; nothing was done."""
    RESET_AFTER = "reset-after"
    """What was asked is done; then the connection is reset."""
    RESET_DURING = "reset-during"
    """What was asked is done; half of the answer comes, then a reset."""
    LOST = "lost"
    """What was asked is done, and no answer comes; after ``seconds`` the connection ends."""
    ERROR = "error"
    """A 5xx, ``status``; nothing was done."""
    ERROR_AFTER = "error-after"
    """What was asked is done; the answer is a 5xx all the same."""
    THROTTLE = "throttle"
    """429 with a Retry-After of ``seconds``, as if a limit were reached."""
    MALFORMED = "malformed"
    """What was asked is done; the answer's body is cut off and cannot be parsed."""
    SLOW_BODY = "slow-body"
    """The answer's body trickles in over ``seconds``."""
    CONTENT_TYPE = "content-type"
    """What was asked is done; instead of the answer comes a page of HTML, with 200."""
    ANY = "any"
    """One of all these, each as often."""


BEFORE: Final = frozenset({Kind.RESET_BEFORE, Kind.ERROR, Kind.THROTTLE})
"""Faults that keep the request from being done. After all others it was."""

ALONGSIDE: Final = frozenset({Kind.LATENCY, Kind.CLOCK_SKEW})
"""Faults that leave the answer as it is, so that another one may strike the same request."""

SECONDS: Final = {Kind.LATENCY: 1.0, Kind.CLOCK_SKEW: 600.0, Kind.LOST: 60.0, Kind.THROTTLE: 1.0, Kind.SLOW_BODY: 5.0}
"""How long each lasts unless the fault says so."""


class Fault(BaseModel):
    """A rule: this ``kind`` strikes with this ``probability`` where ``system`` and ``route`` match.

    ``system`` and ``route`` are patterns with ``*``; a route is ``POST /311/v1/service-requests``. ``burst`` requests
    in a row are struck each time; after ``times`` strikes the rule is spent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    probability: float = Field(1.0, ge=0, le=1)
    system: str = "*"
    route: str = "*"
    seconds: float | None = Field(None, ge=-86_400 * 366, le=86_400 * 366, allow_inf_nan=False)
    status: int = Field(503, ge=500, le=599)
    burst: int = Field(1, ge=1)
    times: int | None = Field(None, ge=1)


class Strike(NamedTuple):
    """A fault that struck: its kind (never ``any``), and how much of it."""

    kind: Kind
    seconds: float
    status: int


@dataclass(slots=True)
class Drawn:
    """What one request meets: a delay in seconds, a clock that is wrong by seconds, and at most one other fault."""

    latency: float = 0.0
    skew: float = 0.0
    strike: Strike | None = None


class Faults:
    """The rules in force, in their order: of several that could strike a request the first does."""

    def __init__(self, rules: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._seed = seed
        self._rules: list[_Rule] = []
        self.set(rules)

    @property
    def rules(self) -> list[Fault]:
        """The rules in force, spent ones included."""
        return [rule.fault for rule in self._rules]

    def set(self, rules: Iterable[Fault]) -> None:
        """Take these rules instead of those before; their draws begin anew."""
        self._rules = []
        for fault in rules:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Take one more rule, after the others."""
        self._rules.append(_Rule(fault, Random(f"{self._seed}/{len(self._rules)}")))

    def draw(self, system: str, method: str, path: str) -> Drawn:
        """What this request meets; every matching rule that could strike draws once."""
        drawn = Drawn()
        for rule in self._rules:
            settled = drawn.strike is not None and rule.fault.kind not in ALONGSIDE
            if settled or not rule.matches(system, f"{method} {path}"):
                continue
            strike = rule.strike()
            if strike is None:
                continue
            if strike.kind is Kind.LATENCY:
                drawn.latency += max(strike.seconds, 0.0)
            elif strike.kind is Kind.CLOCK_SKEW:
                drawn.skew += strike.seconds
            else:
                drawn.strike = strike
        return drawn


class _Rule:
    """A fault, and what it did so far."""

    __slots__ = ("_left", "_random", "_struck", "fault")

    def __init__(self, fault: Fault, random: Random) -> None:
        self.fault = fault
        self._random = random
        self._left = 0
        self._struck = 0

    def matches(self, system: str, route: str) -> bool:
        return fnmatchcase(system, self.fault.system) and fnmatchcase(route, self.fault.route)

    def strike(self) -> Strike | None:
        fault = self.fault
        if fault.times is not None and self._struck >= fault.times:
            return None
        if self._left:
            self._left -= 1
        elif self._random.random() < fault.probability:
            self._left = fault.burst - 1
        else:
            return None
        self._struck += 1
        kind = fault.kind
        if kind is Kind.ANY:
            kind = self._random.choice([each for each in Kind if each is not Kind.ANY])
        return Strike(kind, SECONDS.get(kind, 0.0) if fault.seconds is None else fault.seconds, fault.status)


def parse(text: str) -> list[Fault]:
    """Read ``--faults``: ``latency=0.3:2,nyc311:lost=0.1``, a JSON list of rules, or ``@file`` with such a list.

    An item is ``[SYSTEM:]KIND[=PROBABILITY[:NUMBER]]``, the number being seconds, or the status of an error. Raises
    ``ValidationError`` with what to correct.
    """
    text = text.strip()
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as unread:
            raise ValidationError(
                f"{text[1:]} cannot be read. Give a file that holds a JSON list of faults."
            ) from unread
    if text.startswith("["):
        return checked(text)
    return [_item(item.strip()) for item in text.split(",") if item.strip()]


def checked(rules: str | bytes | Sequence[object]) -> list[Fault]:
    """Return the faults of a JSON list, or of a parsed one; raises ``ValidationError`` with what to correct."""
    adapter = pydantic.TypeAdapter(list[Fault])
    try:
        return adapter.validate_json(rules) if isinstance(rules, str | bytes) else adapter.validate_python(rules)
    except pydantic.ValidationError as wrong:
        raise ValidationError(_explained(wrong)) from wrong


def _item(text: str) -> Fault:
    head, _, amount = text.partition("=")
    system, _, kind = head.rpartition(":")
    probability, _, number = amount.partition(":")
    rule: dict[str, object] = {"kind": kind.strip(), "system": system.strip() or "*"}
    if probability:
        rule["probability"] = probability
    if number:
        rule["status" if kind.strip() in {Kind.ERROR, Kind.ERROR_AFTER} else "seconds"] = number
    try:
        return Fault.model_validate(rule)
    except pydantic.ValidationError as wrong:
        raise ValidationError(f"'{text}' is no fault. {_explained(wrong)}") from wrong


def _explained(wrong: pydantic.ValidationError) -> str:
    first = wrong.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "faults"
    kinds = ", ".join(Kind)
    return (
        f"{place}: {first['msg']}. Write [SYSTEM:]KIND[=PROBABILITY[:NUMBER]], or a JSON list; the kinds are {kinds}."
    )
