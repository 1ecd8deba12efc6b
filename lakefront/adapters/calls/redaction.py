"""What a log may show of a payload (C13): its form. Never personal data, never credentials.

What people write may stand in any member, also in a provider's message about what they wrote. So the log has names of
members and kinds of values; a value itself only where the adapter says that the member holds codes, and it looks like
one.
"""

import re
from collections.abc import Collection
from typing import Any, Final

import orjson
from pydantic import ValidationError

LONGEST: Final = 300
"""Characters of an excerpt."""

_MEMBERS: Final = 12
"""Members of one object that are told."""

_LEVELS: Final = 4

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}|[0-9]{1,5}")
"""What codes look like: a word without spaces, a small number. No telephone number, ticket or address does."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
"""What names of members look like; others may be data, as where people are listed by their addresses."""


def excerpt(payload: bytes | Any, tells: Collection[str] = ()) -> str:
    """The form of a payload, bytes of JSON or what JSON may hold, in at most 300 characters.

    ``tells`` are the members that hold codes, by their names.
    """
    if isinstance(payload, bytes):
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return f"{len(payload)} bytes, no JSON"
    told = _form(payload, tells, _LEVELS)
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"


def _form(value: Any, tells: Collection[str], levels: int) -> str:
    if isinstance(value, dict):
        if not levels:
            return "{…}"
        members = [_member(str(name), each, tells, levels - 1) for name, each in list(value.items())[:_MEMBERS]]
        return "{" + ", ".join([*members, *(["…"] if len(value) > _MEMBERS else [])]) + "}"
    if isinstance(value, list | tuple):
        first = _form(value[0], tells, levels - 1) if value and levels else ""
        return f"{len(value)} of [{first}]" if value else "[]"
    if isinstance(value, str):
        return f"text({len(value)})"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "number"


def _member(name: str, value: Any, tells: Collection[str], levels: int) -> str:
    if not _NAME.fullmatch(name):
        name = f"name({len(name)})"
    elif name in tells and isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value)
        if _CODE.fullmatch(text):
            return f"{name}: {text}"
    return f"{name}: {_form(value, tells, levels)}"


def members(error: ValidationError) -> str:
    """Which members pydantic found wrong, and how, in at most three; none of their values."""
    told = []
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        where = ".".join(str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "…" for part in each["loc"])
        told.append(f"{where or 'all of it'}: {each['type']}")
    return ", ".join(told)
