"""Socrata (C5): the open data of New York and of most cities, as rows that changed since one looked last."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from pydantic import TypeAdapter

from lakefront.adapters.base import Adapter
from lakefront.adapters.calls import Request, Response, Unreadable, segment
from lakefront.adapters.calls.backoff import next_pause, retry_after
from lakefront.adapters.calls.reading import parsed
from lakefront.adapters.dto import Moment, Wire, found_at
from lakefront.adapters.opendata import PAGE, Page, Place, Row, checked_dataset, fixed
from lakefront.errors import UpstreamError, ValidationError

T = TypeVar("T")

ROWS_A_SECOND: Final = 1000
"""Rows that those without a token may read in a second."""

_LARGE: Final = 500
"""Rows from which on a thread reads the answer."""

_UNDER_WAY: Final = 202
_MISSING: Final = 404


class Socrata(Adapter):
    """``soda3`` posts its query; as ``soda2``, and without an app token, which that needs, it is in the URL.

    Rows come in the order of ``:id``, each page behind the last id of the one before: so none is missed, whatever is
    added, changed or deleted meanwhile. A 202 is waited for: its job where it names one, else by asking again.
    """

    provider = "socrata"
    title = "Socrata open data"
    default_base_url = "https://data.cityofnewyork.us"
    api_versions = ("soda3", "soda2")
    credentials: ClassVar = {"app_token": "app token; without one, 1,000 rows a second"}
    optional_credentials = frozenset({"app_token"})
    city_bound = True
    tells = frozenset({"code", "errorCode"})
    most_wait: ClassVar[float] = 120.0
    """Seconds that an answer may be under way."""

    async def page(self, dataset: str, place: Place, *, size: int = PAGE, trace_id: str = "") -> Page:
        """The rows at ``place``, at most ``size``.

        Raises as ``Calls.call`` does, ``ValidationError`` for no data set or size, ``UpstreamError`` where an answer
        stays under way for ``most_wait`` seconds.
        """
        if not 1 <= size <= PAGE:
            raise ValidationError(f"A page has 1 to {PAGE} rows.")
        until = place.until
        if place.after is None or until is None:
            until = await self._newest(dataset, trace_id)
        if until is None or (place.since is not None and until <= place.since):
            return Page(rows=(), next=Place(since=place.since), last=True)
        rows = await self._answered(self._query("rows", dataset, ":*, *", _where(place), size), _rows, trace_id)
        if len(rows) > size or (rows and rows[-1].id == place.after):
            raise UpstreamError(f"{self.title} answers other rows than it was asked for. Look after its base URL.")
        if len(rows) < size:
            return Page(rows=tuple(rows), next=Place(since=until), last=True)
        return Page(rows=tuple(rows), next=Place(since=place.since, after=rows[-1].id, until=until), last=False)

    async def pages(self, dataset: str, place: Place, *, size: int = PAGE, trace_id: str = "") -> AsyncIterator[Page]:
        """All pages from ``place`` to the end of the round, no faster than who has no token may; raises as ``page``.

        Whoever stops, or fails, goes on at the ``next`` of the last page that is safe.
        """
        while True:
            started = time.monotonic()
            page = await self.page(dataset, place, size=size, trace_id=trace_id)
            yield page
            if page.last:
                return
            place = page.next
            if not self.has_token:
                await asyncio.sleep(max(0.0, len(page.rows) / ROWS_A_SECOND - (time.monotonic() - started)))

    async def count(self, dataset: str, place: Place, *, trace_id: str = "") -> int:
        """How many rows there are from ``place`` on; raises as ``page``."""
        request = self._query("count", dataset, "count(*) AS count", _where(place), 1, order="")
        return await self._answered(request, _count, trace_id)

    async def test(self) -> None:
        """A row of New York's 311; another city says that it has none of that name."""
        request = self._query("test", "erm2-nwe9", ":id", "", 1, expected=(_MISSING,))
        await self._answered(request, _there_or_not, "")

    @property
    def has_token(self) -> bool:
        """Whether it reads with an app token: without one, ``ROWS_A_SECOND`` at most."""
        return self._token is not None

    @property
    def _token(self) -> str | None:
        return self.endpoint.credentials.get("app_token") or None

    async def _newest(self, dataset: str, trace_id: str) -> Moment | None:
        request = self._query("newest", dataset, ":id, :updated_at", "", 1, order=":updated_at DESC")
        return next((row.updated_at for row in await self._answered(request, _rows, trace_id)), None)

    def _query(
        self,
        name: str,
        dataset: str,
        select: str,
        where: str,
        size: int,
        *,
        order: str = ":id",
        expected: tuple[int, ...] = (),
    ) -> Request:
        id_, token = segment(checked_dataset(dataset)), self._token
        other: dict[str, Any] = {
            "headers": {"X-App-Token": token} if token else {},
            "expected": frozenset({_UNDER_WAY, *expected}),
            "most_bytes": 32 * 1024 * 1024,  # a page of 311 has some 15 MB; parsed, ten times as much
            "large": size > _LARGE,
            "patience": 15.0,  # whoever read one without a token is asked to wait for ten seconds
        }
        clauses = {"select": select, "where": where, "order": order}
        if token and self.endpoint.api_version == "soda3":
            query = " ".join(f"{_SOQL[clause]} {text}" for clause, text in clauses.items() if text)
            sent = {"query": query, "page": {"pageNumber": 1, "pageSize": size}, "includeSynthetic": False}
            return Request(name, "POST", f"/api/v3/views/{id_}/query.json", json=sent, **other)
        parts = {f"${clause}": text for clause, text in clauses.items() if text} | {"$limit": str(size)}
        return Request(name, "GET", f"/resource/{id_}.json", parts, **other)

    async def _answered(self, request: Request, read: Callable[[Response], T], trace_id: str) -> T:
        """What ``read`` makes of the answer, once there is one."""
        deadline, pause = time.monotonic() + self.most_wait, 0.0
        told = await self._call(request, _or_later(read), trace_id=trace_id)
        while isinstance(told, _Later):
            pause = next_pause(pause, first=0.05, longest=5.0)
            wait = max(pause, told.wait)
            if time.monotonic() + wait > deadline:
                raise UpstreamError(f"{self.title} is still at it. Try again in a while.", retry_after=wait)
            await asyncio.sleep(wait)
            job = await self._job_of(told, trace_id)
            told = job if job is not None else await self._call(request, _or_later(read), trace_id=trace_id)
        return told

    async def _job_of(self, told: "_Later", trace_id: str) -> "_Later | None":
        """Where its job stands; None where that is done or gone, or there was none."""
        if told.job is None:
            return None
        request = Request(
            name="job",
            method="GET",
            path=f"/api/jobs/{segment(told.job)}",
            headers={"X-App-Token": self._token} if self._token else {},
            expected=frozenset({_UNDER_WAY, _MISSING}),
        )
        job = await self._call(request, _or_later(_there_or_not), trace_id=trace_id)
        return _Later(told.job, job.wait) if job else None


_SOQL: Final = {"select": "SELECT", "where": "WHERE", "order": "ORDER BY"}


@dataclass(frozen=True, slots=True)
class _Later:
    """The answer is under way; ``wait`` seconds are asked for."""

    job: str | None
    wait: float


class _System(Wire):
    """Of a row what Socrata adds to it: https://dev.socrata.com/docs/system-fields.html."""

    id: str = found_at(":id", min_length=1, max_length=200)
    updated_at: Moment = found_at(":updated_at")


class _Counted(Wire):
    count: int


class _Error(Wire):
    code: str = found_at("code", "errorCode")


_COUNTS: Final = TypeAdapter(list[_Counted])


def _where(place: Place) -> str:
    since = f":updated_at > '{fixed(place.since)}'" if place.since else ""
    after = ":id > '{}'".format(place.after.replace("'", "''")) if place.after else ""
    return " AND ".join(filter(None, (since, after)))


def _rows(answer: Response) -> list[Row]:
    """The rows, parsed one by one: what takes a second as a whole would keep all threads waiting for as long."""
    try:
        texts = msgspec.json.decode(answer.body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable("it is no list of rows") from None
    if len(texts) > PAGE:
        raise Unreadable("it has more rows than a page")
    return [_row(parsed(bytes(text))) for text in texts]


def _row(found: Any) -> Row:
    system = _System.model_validate(found)
    # What pydantic has seen of a row needs no second look: that of ten thousand takes a tenth of a second.
    return Row.model_construct(
        id=system.id,
        updated_at=system.updated_at,
        columns={name: value for name, value in found.items() if not name.startswith(":")},
    )


def _count(answer: Response) -> int:
    counts = _COUNTS.validate_python(answer.json())
    if len(counts) != 1 or counts[0].count < 0:
        raise Unreadable("it does not say how many rows there are")
    return counts[0].count


def _there_or_not(answer: Response) -> None:
    """Pass if it answers as Socrata does, be it that there is nothing of that name."""
    if answer.status == _MISSING and not answer.model(_Error).code.endswith(".missing"):
        raise Unreadable("there is no such path")
    answer.json()


def _or_later(read: Callable[[Response], T]) -> "Callable[[Response], T | _Later]":
    def told(answer: Response) -> T | _Later:
        if answer.status != _UNDER_WAY:
            return read(answer)
        job = answer.headers.get("job-id", "")[:200]
        return _Later(job or None, retry_after(answer.headers) or 0.0)

    return told
