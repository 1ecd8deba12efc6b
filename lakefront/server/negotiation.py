"""Which media type and which coding an answer gets (RFC 9110, 12.5.1 and 12.5.3)."""

from collections.abc import Sequence

MAX_RANGES = 50
"""Media ranges of one Accept header that are looked at; browsers send some ten."""


MAX_REMEMBERED = 500
"""Bytes of a header whose meaning is remembered: browsers send some hundred, and many clients the same."""


def negotiate(accept: str | None, offered: Sequence[str]) -> str | None:
    """The one of ``offered`` that ``accept`` likes best, ``None`` if it takes none.

    ``offered`` is in the server's own order; it decides where the client has no preference, as with ``*/*``. A more
    specific range overrules a wider one (``application/json;q=0, */*`` takes everything but JSON).
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_parse(part) for part in accept.split(",")[:MAX_RANGES]]
    best: str | None = None
    best_rank = (0.0, 0)
    for media in offered:
        # The most specific range decides about a type; a type that is named ranks above one that a wildcard lets in.
        specificity, quality = max((_specificity(name, media), quality) for name, quality in ranges)
        rank = (quality, specificity)
        if specificity and quality > 0 and rank > best_rank:
            best, best_rank = media, rank
    return best


def names(accept: str | None, media: str) -> bool:
    """Whether ``accept`` takes ``media`` by its full name: wildcards are no sign that a client can read a type."""
    ranges = [_parse(part) for part in (accept or "").split(",")[:MAX_RANGES]]
    return any(name == media and quality > 0 for name, quality in ranges)


def choose_coding(accepted: str, offered: Sequence[str]) -> str | None:
    """The one of ``offered`` that the ``Accept-Encoding`` likes best, ``None`` if it takes none or likes none better.

    ``offered`` is in the server's own order; ``*`` stands for those that are not named.
    """
    named = dict(_parse(part) for part in accepted.split(",")[:MAX_RANGES])
    others = named.get("*", 0.0)
    best: str | None = None
    best_quality = named.get("identity", 0.0)
    for coding in offered:
        quality = named.get(coding, others)
        if quality > best_quality or (quality == best_quality > 0 and best is None):
            best, best_quality = coding, quality
    return best


def _parse(part: str) -> tuple[str, float]:
    name, *parameters = part.strip().lower().split(";")
    for parameter in parameters:
        key, _, value = parameter.strip().partition("=")
        if key == "q":
            try:
                return name.strip(), min(max(float(value), 0.0), 1.0)
            except ValueError:
                return name.strip(), 0.0
    return name.strip(), 1.0


def _specificity(name: str, media: str) -> int:
    if name == media:
        return 3
    if name == media.partition("/")[0] + "/*":
        return 2
    return int(name == "*/*")
