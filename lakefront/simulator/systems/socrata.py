"""Socrata's open data: SODA 2 for everybody, SODA 3 for those with an app token."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lakefront.simulator import soql
from lakefront.simulator.answers import Refusal, as_json, read_object
from lakefront.simulator.city import City
from lakefront.simulator.datasets import DATASETS, Dataset
from lakefront.simulator.limits import Exceeded
from lakefront.simulator.systems.base import SUSPENDED, Door, System, waiting

TOKEN: Final = "simulated-app-token"  # noqa: S105 - made up

DEFAULT_LIMIT: Final = 1000
MOST_ROWS: Final = 50_000
"""Rows of one answer."""

ROWS: Final = "socrata/rows"
"""The limit on rows without a token."""


class Socrata(System):
    """Without ``$order`` rows come in any order, another one each time; null columns are left out of them."""

    name = "socrata"
    title = "Socrata open data"
    limits: ClassVar[Mapping[str, str]] = {"socrata": "", ROWS: "1000/second"}

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self.pending = 0
        """Queries that are answered 202 before the next one is answered."""
        self.tells_job = True
        """Whether a 202 has a ``Job-Id``."""
        self._datasets: dict[str, Dataset] = {}
        self._jobs: dict[str, int] = {}
        self._random = Random(f"{city.seed}/socrata")

    def routes(self) -> Sequence[Route]:
        """Both versions, and where a job is asked for."""
        return [
            Route("/resource/{id}.json", self.soda2, methods=["GET"]),
            Route("/api/v3/views/{id}/query.json", self.soda3, methods=["POST"]),
            Route("/api/jobs/{job}", self.job, methods=["GET"]),
        ]

    def doors(self) -> Sequence[Door]:
        """SODA 2 without and with a token, and SODA 3."""
        token = {"app_token": TOKEN}
        return [Door("soda3", token, "nyc"), Door("soda2", token, "nyc")]

    def sizes(self) -> dict[str, int]:
        """Rows by data set, of those that were asked for."""
        return {id_: len(dataset.rows) for id_, dataset in self._datasets.items()}

    def change(self, id_: str, changed: int, added: int) -> None:
        """Change and add rows of a data set, now; ends the request (404) where there is none of that id."""
        self._dataset(id_).change(changed, added, self.city.clock.now())

    def caller(self, request: Request) -> str:
        """The token, else the address."""
        return _token(request) or super().caller(request)

    def refused(self, request: Request, exceeded: Exceeded) -> Response:
        """As Socrata tells it."""
        return _error(429, "too_many_requests", "You have exceeded the rate limit. Use an app token.")

    async def soda2(self, request: Request) -> Response:
        """``GET /resource/<id>.json?$where=…``; a plain column is a condition as well."""
        token, query = self._admit(request), request.query_params
        dataset = self._dataset(request.path_params["id"])
        self._throttle(request, token)
        if (waiting := self._waiting()) is not None:
            return waiting
        parts = _clauses(query["$query"]) if "$query" in query else {}
        parts |= {
            name[1:]: text for name, text in query.items() if name[:1] == "$" and name not in {"$query", "$$app_token"}
        }
        known = {"select", "where", "group", "order", "limit", "offset", "$app_token"}
        if unknown := sorted(parts.keys() - known):
            return _error(400, "query.unknown-parameter", f"Unrecognized parameter ${unknown[0][:30]}")
        equal = {name: text for name, text in query.items() if not name.startswith("$")}
        rows = self._answer(dataset, parts, equal, limit=DEFAULT_LIMIT)
        if token is None:
            self.city.limits.owe(ROWS, self.caller(request), len(rows))
        return as_json(rows, headers={"x-soda2-fields": "[]", "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"})

    async def soda3(self, request: Request) -> Response:
        """``POST /api/v3/views/<id>/query.json`` with ``query``, ``page`` and ``includeSynthetic``."""
        if self._admit(request) is None:
            return _error(403, "authentication_required", "You must be logged in, or send an app token.")
        dataset = self._dataset(request.path_params["id"])
        if (waiting := self._waiting()) is not None:
            return waiting
        sent = await read_object(request, _error(400, "json.decode_error", "The body is no JSON object."))
        parts = _clauses(str(sent.get("query", "SELECT *")))
        page = sent.get("page")
        if isinstance(page, dict):
            number, size = page.get("pageNumber", 1), page.get("pageSize", DEFAULT_LIMIT)
            if not (isinstance(number, int) and isinstance(size, int) and number >= 1 and 1 <= size <= MOST_ROWS):
                return _error(400, "request.page", "pageNumber and pageSize must be whole numbers from 1 on.")
            parts |= {"limit": str(size), "offset": str((number - 1) * size)}
            parts.setdefault("order", ":id")
        if sent.get("includeSynthetic", True) and parts.get("select", "*").strip() == "*" and not parts.get("group"):
            parts["select"] = ":*, *"
        return as_json(self._answer(dataset, parts, {}, limit=MOST_ROWS))

    async def job(self, request: Request) -> Response:
        """Where a query of a 202 stands: 202 until it is done, then 200."""
        self._admit(request)
        job = request.path_params["job"]
        if job not in self._jobs:
            return _error(404, "job.missing", "There is no such job.")
        if self.pending:
            self.pending -= 1
            return as_json({"jobId": job, "status": "processing"}, 202, {"retry-after": "1"})
        return as_json({"jobId": job, "status": "completed"})

    def _answer(
        self, dataset: Dataset, parts: Mapping[str, str], equal: Mapping[str, str], *, limit: int
    ) -> list[dict[str, Any]]:
        if unknown := sorted(equal.keys() - {*dataset.columns}):
            raise Refusal(_error(400, "query.soql.no-such-column", f"No such column: {unknown[0][:60]}"))
        try:
            query = soql.read(parts, dataset.columns)
            query.limit = min(limit if query.limit is None else query.limit, MOST_ROWS)
            rows = list(dataset.rows)
            for name, text in equal.items():
                rows = [row for row in rows if str(row[name]) == text]
            if not query.order:
                self._random.shuffle(rows)
            return soql.run(query, rows)
        except soql.NotSoql as wrong:
            raise Refusal(_error(400, wrong.code, str(wrong))) from wrong

    def _admit(self, request: Request) -> str | None:
        token = _token(request)
        if token is None or token == TOKEN:
            return token
        why = "App token is suspended" if token == SUSPENDED else "Invalid app_token specified"
        raise Refusal(_error(403, "permission_denied", why))

    def _dataset(self, id_: str) -> Dataset:
        if id_ not in DATASETS:
            raise Refusal(_error(404, "dataset.missing", "Not found"))
        if id_ not in self._datasets:
            city = self.city
            self._datasets[id_] = Dataset(id_, seed=city.seed, size=city.rows, now=city.clock.now())
        return self._datasets[id_]

    def _throttle(self, request: Request, token: str | None) -> None:
        exceeded = self.city.limits.owe(ROWS, self.caller(request), 0) if token is None else None
        if exceeded is not None:
            raise Refusal(waiting(self.refused(request, exceeded), exceeded))

    def _waiting(self) -> Response | None:
        if not self.pending:
            return None
        headers = {"retry-after": "1"}
        if self.tells_job:
            job = str(UUID(int=self._random.getrandbits(128)))
            self._jobs[job] = 1
            headers |= {"job-id": job, "location": f"/{self.name}/api/jobs/{job}"}
        self.pending -= 1
        return as_json(
            {"status": "processing", "message": "Retry the request; it is answered when it is done."}, 202, headers
        )


def _clauses(statement: str) -> dict[str, str]:
    try:
        return soql.clauses(statement)
    except soql.NotSoql as wrong:
        raise Refusal(_error(400, wrong.code, str(wrong))) from wrong


def _token(request: Request) -> str | None:
    query = request.query_params
    return request.headers.get("x-app-token") or query.get("$$app_token") or query.get("app_token")


def _error(status: int, code: str, message: str) -> Response:
    return as_json({"code": code, "error": True, "message": message}, status)
