"""Trying an integration out, and making adapters of endpoints."""

import time
from dataclasses import dataclass
from typing import Protocol, TypeVar

from lakefront.actor import INTEGRATIONS_MANAGE, Actor
from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Calls
from lakefront.domain.integrations.endpoints import Endpoints
from lakefront.domain.integrations.integration import adapter_of
from lakefront.domain.integrations.keys import CannotDecrypt
from lakefront.domain.integrations.manage import check_place, not_found
from lakefront.domain.integrations.rows import endpoint, read_one
from lakefront.domain.integrations.writing import Parts
from lakefront.errors import InternalError, LakefrontError, NotConfigured

A = TypeVar("A", bound=Adapter)


class Calling(Protocol):
    """What an adapter takes of ``Services``."""

    @property
    def endpoints(self) -> Endpoints:
        """Where outside systems are reached."""

    @property
    def calls(self) -> Calls:
        """What calls them."""


class TrialParts(Parts, Calling, Protocol):
    """What a trial takes of ``Services``."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a harmless call went; ``ok`` None: it was not made. ``error_code``, ``message``: what to do if it failed."""

    ok: bool | None
    error_code: str | None
    message: str
    seconds: float


async def adapter(services: Calling, kind: type[A], tenant: str, city: str = "") -> A:
    """The adapter ``kind`` as ``tenant`` reaches it for ``city``; raises ``NotConfigured``, ``Unavailable``."""
    return kind(await services.endpoints.require(tenant, kind.provider, city), services.calls)


async def try_out(parts: TrialParts, actor: Actor, provider: str, city: str = "", *, dry_run: bool = False) -> Trial:
    """Make a harmless call of the integration, be it disabled: a failure is an answer. On a dry run, make none.

    Needs the scope integrations:manage. Raises ``NotFound``, ``ValidationError`` for no such provider, ``Forbidden``,
    ``Unavailable`` when PostgreSQL is away.
    """
    actor.require(INTEGRATIONS_MANAGE)
    kind = adapter_of(provider)
    check_place(kind, city)
    async with parts.database.transaction(actor.tenant) as transaction:
        row = await read_one(transaction, actor.tenant, provider, city)
    if row is None:
        raise not_found()
    if dry_run:
        return Trial(ok=None, error_code=None, message=f"{kind.title} would be called.", seconds=0.0)
    started = time.perf_counter()
    try:
        await kind(endpoint(parts.endpoints.keys, actor.tenant, row), parts.calls).test()
    except CannotDecrypt as wrong:
        told = f"The stored credentials cannot be read: {wrong}. Give all of them anew: upsertIntegration."
        return Trial(ok=False, error_code=NotConfigured.code, message=told, seconds=0.0)
    except InternalError:
        raise
    except LakefrontError as failed:
        seconds = time.perf_counter() - started
        return Trial(ok=False, error_code=failed.code, message=failed.message, seconds=seconds)
    return Trial(ok=True, error_code=None, message=f"{kind.title} answers.", seconds=time.perf_counter() - started)
