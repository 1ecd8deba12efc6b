"""The object stores of a crash test: an S3 in bad weather, and a folder that two servers share."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from secrets import token_hex
from typing import Any, Protocol

from tests.adapters.faults import Cut, Fault, FaultyProxy, Late, Refuse, Request, sometimes
from tests.adapters.s3_server import BUCKET, CREDENTIALS, admin, s3_server
from tests.chaos.journal import Journal

PAST_PATIENCE = 12.0
"""Seconds after which the server has given an answer up, though the object is stored."""


class Store(Protocol):
    """Where the servers under test put their objects."""

    environment: Mapping[str, str]

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        ...

    async def contents(self) -> dict[str, bytes]:
        """Key -> bytes of all that is stored, read without Lakefront."""
        ...


@dataclass
class Folder:
    """A local folder, whose weather is always fine."""

    path: Path

    def __post_init__(self) -> None:
        self.environment: Mapping[str, str] = {"OBJECT_STORE_URL": self.path.as_uri()}

    def calm(self) -> None:
        """Nothing to do."""

    async def contents(self) -> dict[str, bytes]:
        """All files but those that are being written."""
        found = (path for path in self.path.rglob("*") if path.is_file())
        relative = {path.relative_to(self.path).as_posix(): path for path in found}
        return {key: path.read_bytes() for key, path in relative.items() if not key.split("/")[-1].startswith(".")}


class StormyS3:
    """An S3 that refuses, dawdles, and loses answers, each request by chance."""

    def __init__(self, endpoint: str, proxy: FaultyProxy, random: Random, journal: Journal) -> None:
        self._endpoint = endpoint
        self._prefix = token_hex(8)  # all servers of a process share their buckets
        self._proxy = proxy
        self._chances = sometimes(random, {fault: chance for fault, (chance, _) in _WEATHER.items()})
        self._journal = journal
        self.environment: Mapping[str, str] = {
            **CREDENTIALS,
            "OBJECT_STORE_URL": f"s3://{BUCKET}?endpoint={proxy.url}&region=us-east-1&prefix={self._prefix}",
        }
        proxy.rule = self._weather

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._proxy.rule = lambda _: None

    async def contents(self) -> dict[str, bytes]:
        """All objects, read past the proxy."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> dict[str, bytes]:
        client: Any = admin(self._endpoint)
        try:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self._prefix}/")
            keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
            return {
                key.removeprefix(f"{self._prefix}/"): client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                for key in keys
            }
        finally:
            client.close()

    def _weather(self, request: Request) -> Fault | None:
        fault = self._chances(request)
        if fault is not None:
            self._journal.counts[f"times the object store {_WEATHER[fault][1]}"] += 1
        return fault


_WEATHER: Mapping[Fault, tuple[float, str]] = {
    Refuse(): (0.12, "refused"),
    Cut(answered=False): (0.08, "cut a request"),
    Cut(answered=True): (0.15, "did it and lost the answer"),
    Late(1.5): (0.07, "was slow"),
    Late(PAST_PATIENCE): (0.04, "did it and answered too late"),
}


@asynccontextmanager
async def stormy_s3(random: Random, journal: Journal) -> AsyncIterator[StormyS3]:
    """An S3 of its own behind a proxy."""
    with s3_server() as endpoint:
        async with FaultyProxy(endpoint) as proxy:
            yield StormyS3(endpoint, proxy, random, journal)
