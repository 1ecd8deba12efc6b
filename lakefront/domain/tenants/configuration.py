"""What a tenant is to be (T1, T2): the body of the dry run and of the onboarding, word for word the same."""

import json
import re
from hashlib import sha256
from typing import Final

import msgspec

from lakefront.actor import CITY
from lakefront.domain import api_keys, ingest_tokens

MAX_NAME: Final = 200
"""Characters of a company's name."""

MAX_EMAIL: Final = 254
"""Characters of an e-mail address: more do not fit into SMTP's path (RFC 5321, 4.5.3.1)."""

RESERVED: Final = frozenset(
    {
        *(CITY, "public", "lakefront", "tenants", "bench", "information_schema"),
        *(
            "admin",
            "api",
            "auth",
            "default",
            "docs",
            "dryrun",
            "graphql",
            "health",
            "ingest",
            "lake",
            "metrics",
            "objects",
        ),
        *("onboard", "onboarding", "postgres", "root", "system", "template0", "template1"),
    }
)
"""Names that mean something here already: schemas, roles, paths, folders of the lake."""

RESERVED_PREFIXES: Final = ("pg_", "lakefront_", "tenants_")
"""Beginnings of PostgreSQL's names, and of our own."""

_TENANT_ID = re.compile(r"[a-z][a-z0-9_]{2,39}", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[^\s@\"(),:;<>\[\]\\]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}")


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked for, unchecked: ``checks`` tells what is wrong with it. ``admin_email`` is personal data."""

    tenant_id: str
    company_name: str
    admin_email: str
    subscription_plan: str

    def digest(self) -> bytes:
        """The SHA-256 of its canonical JSON: equal for the same configuration, however it was written."""
        return sha256(json.dumps(msgspec.structs.asdict(self), sort_keys=True).encode()).digest()

    def __repr__(self) -> str:
        """The tenant alone, so that no traceback tells the address."""
        return f"Configuration({self.tenant_id[:40]!r})"


def is_tenant_id(text: str) -> bool:
    """Whether ``text`` can be a tenant's id: a schema of PostgreSQL, a folder of the lake, the first part of its keys.

    So it holds neither mark by which the parts of a key are told apart, also with the mark itself behind it.
    """
    marks = (api_keys.MARK, ingest_tokens.MARK)
    return _TENANT_ID.fullmatch(text) is not None and not any(mark in f"{text}_" for mark in marks)


def is_reserved(text: str) -> bool:
    """Whether ``text`` is a name that no tenant may have, though it looks like one."""
    return text in RESERVED or text.startswith(RESERVED_PREFIXES)


def is_company_name(text: str) -> bool:
    """Whether ``text`` is one line of printable characters, not blank, without spaces around it."""
    return 0 < len(text) <= MAX_NAME and text.isprintable() and text == text.strip()


def is_email(text: str) -> bool:
    """Whether ``text`` looks like an address that mail can be sent to; whether it arrives, only mail can tell."""
    if len(text) > MAX_EMAIL or not text.isprintable() or _EMAIL.fullmatch(text) is None:
        return False
    local = text.partition("@")[0]
    return not local.startswith(".") and not local.endswith(".") and ".." not in local
