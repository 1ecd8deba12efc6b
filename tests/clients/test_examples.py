"""The examples (P8): they run as the README writes them, wait for a busy server, and go on after any kill."""

import asyncio
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from tests.clients.node import install, node_program
from tests.clients.producer import Producer, numbered, producing
from tests.process import ROOT, ServerProcess

PATIENCE = 60
"""Seconds within which a program must print its next line or end."""

BURST = 500
"""Events that come at once, many times what a follower may be behind."""

PROGRAMS = {"python_client.py": "EXAMPLE-PYTHON", "js_client.mjs": "EXAMPLE-JAVASCRIPT"}

FIRST = """\
sent 2: 2 accepted, 0 duplicates
following from the earliest event on
  PERMIT_FILED: {permit} is issued
  PERMIT_ISSUED: {permit} is issued
sent 1: 1 accepted, 0 duplicates
  STATUS_CHANGE: {permit} is under review
query: {permit} is under review after 3 events
sent 1: 1 accepted, 0 duplicates
following from the saved cursor on
  STATUS_CHANGE: {permit} is approved
the journal has all 4 events of the server, each once
"""

AGAIN = """\
sent 2: 0 accepted, 2 duplicates
following from the saved cursor on
sent 1: 1 accepted, 0 duplicates
  STATUS_CHANGE: {permit} is under review
query: {permit} is under review after {three} events
sent 1: 1 accepted, 0 duplicates
following from the saved cursor on
  STATUS_CHANGE: {permit} is approved
the journal has all {four} events of the server, each once
"""


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A folder like a fresh checkout after `make install`: `examples/` and `.venv/`."""
    await asyncio.to_thread(install, ROOT / "examples")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("*.jsonl"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


class Program:
    """A running program that prints lines."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def line(self) -> str:
        """The next line, without its end; empty when the program has ended."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().rstrip("\n")

    async def rest(self) -> str:
        """All further output, once it has ended."""
        async with asyncio.timeout(PATIENCE):
            return (await self._process.communicate())[0].decode()

    async def end(self, how: signal.Signals) -> int:
        """Send the signal, return the exit code."""
        self._process.send_signal(how)
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()


@asynccontextmanager
async def started(home: Path, server: ServerProcess, *command: str, token: str | None = None) -> AsyncIterator[Program]:
    """Run a command in `home` until the block ends; its errors are among its lines."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=home,
        env=os.environ
        | {
            "LAKEFRONT_URL": f"{server.url}/",  # as people write it, too
            "LAKEFRONT_DATA": str(server.data),
            "NO_PROXY": "127.0.0.1",
        }
        | ({} if token is None else {"LAKEFRONT_TOKEN": token}),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def running(program: str, *arguments: str) -> list[str]:
    """The command that runs one of the examples."""
    return [".venv/bin/python" if program.endswith(".py") else node_program(), f"examples/{program}", *arguments]


def again(permit: str, total: int) -> str:
    """What a further tour says, after which the permit has `total` events."""
    return AGAIN.format(permit=permit, three=total - 1, four=total)


def followed(home: Path, program: str) -> list[str]:
    """The ids of the events in the program's journal, line by line."""
    journal = (home / "examples" / program).with_suffix(".jsonl")
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    return [orjson.loads(line)["event"]["eventId"] for line in lines]


async def test_both_run_as_the_readme_writes_them(home: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (written,) = [block for block in blocks if "examples/" in block]
    shutil.rmtree(home / "examples" / "node_modules")  # the README installs it
    async with ServerProcess() as server:
        async with started(home, server, "sh", "-eu", "-c", written) as block:
            output = await block.rest()
        for permit in PROGRAMS.values():
            assert FIRST.format(permit=permit) in output
        assert (home / "examples" / "node_modules" / "graphql-ws").is_dir()
        for program, permit in PROGRAMS.items():
            async with started(home, server, *running(program), token=server.token()) as tour:
                assert await tour.rest() == again(permit, 6)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_nothing_is_lost_or_comes_twice_whatever_is_killed(
    home: Path, server: ServerProcess, producer: Producer, program: str
) -> None:
    permit = PROGRAMS[program]
    follow = running(program, "follow")

    async def has(number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(followed(home, program)) < number:  # noqa: ASYNC110 - it is another program's file
                await asyncio.sleep(0.05)
        assert followed(home, program) == [f"{permit}-{done}" for done in range(number)]

    await producer.send(numbered(permit, range(10)))
    async with started(home, server, *follow, token=server.token("reader")) as client:
        assert await client.line() == "following from the earliest event on"
        await has(10)
        server.kill()
        await server.wait()
        broken = re.compile(r"not connected \(.+\), trying again")
        assert any([broken.fullmatch(await client.line()) for _ in range(11)])
        await server.start()
        await producer.send(numbered(permit, range(10, 20)))
        await has(20)
        await client.end(signal.SIGKILL)
    with (home / "examples" / program).with_suffix(".jsonl").open("ab") as journal:
        journal.write(b'{"cursor": "a line that the crash cut sho')
    await producer.send(numbered(permit, range(20, 25)))
    async with started(home, server, *follow, token=server.token("reader")) as client:
        assert await client.line() == "following from the saved cursor on"
        assert await client.line() == f"  STATUS_CHANGE: {permit} is status 24"
        await has(25)
        await producer.send(numbered(permit, range(25, 26)))
        await has(26)
        await client.end(signal.SIGINT)


async def test_they_wait_for_a_server_that_is_busy_and_for_one_that_is_away(home: Path) -> None:
    async def told(program: str, waiting: str) -> str:
        """What the tour says but for its waiting, of which there must be some."""
        async with started(home, server, *running(program), token=token) as tour:
            lines = (await tour.rest()).splitlines(keepends=True)
        assert [line for line in lines if line.startswith(waiting)], lines
        return "".join(line for line in lines if not line.startswith(("the server is busy (", "no answer (")))

    async with ServerProcess(environment={"LAKEFRONT_EVENTS_PER_SECOND": "5", "LAKEFRONT_SHARDS": "1"}) as server:
        token = server.token()
        async with producing(server) as producer:
            # Nine seconds too many: whoever comes within them must wait, and programs take their time to start.
            await producer.send(numbered("quota", range(50)))
        busy = await asyncio.gather(*(told(program, "the server is busy (429), again in ") for program in PROGRAMS))
        assert busy == [FIRST.format(permit=permit) for permit in PROGRAMS.values()]
        await server.stop()
        tours = [asyncio.create_task(told(program, "no answer (")) for program in PROGRAMS]
        await asyncio.sleep(1)
        await server.start()
        assert await asyncio.gather(*tours) == [again(permit, 6) for permit in PROGRAMS.values()]


async def test_one_that_falls_behind_goes_on_where_it_was(home: Path) -> None:
    """The server lets a follower fall behind by ten events: fewer than come while it looks up the first permit.

    It cannot fall behind while it still catches up, which nothing it prints tells: hence more bursts, until it does.
    """

    async def fall_behind(program: str, permit: str) -> None:
        async with started(home, server, *running(program, "follow"), token=server.token("reader")) as client:
            sent = 1
            await producer.send(numbered(permit, range(1)))
            lines = [await client.line() for _ in range(2)]
            assert lines[-1] == f"  STATUS_CHANGE: {permit} is status 0"
            while "fell behind, going on" not in lines:
                assert sent < BURST * 6
                await producer.send(numbered(permit, range(sent, sent + BURST)))
                sent += BURST
                while len(lines) - lines.count("fell behind, going on") < 1 + sent:
                    lines.append(await client.line())
        assert followed(home, program) == [f"{permit}-{number}" for number in range(sent)]

    environment = {"LAKEFRONT_RATE_LIMITS": "off", "LAKEFRONT_FOLLOWER_BUFFER": "10"}
    async with ServerProcess(environment=environment) as server, producing(server) as producer:
        await asyncio.gather(*(fall_behind(program, permit) for program, permit in PROGRAMS.items()))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("mode", [[], ["follow"]], ids=["tour", "follow"])
async def test_a_wrong_token_ends_it_with_our_message(
    home: Path, server: ServerProcess, program: str, mode: list[str]
) -> None:
    async with started(home, server, *running(program, *mode), token="wrong") as client:
        said = (await client.rest()).splitlines()
    assert "This token does not hold: expired, malformed or not ours. Get a new one." in said[-1]
    assert len(said) == (2 if mode else 1)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_cursor_of_another_server_is_told(home: Path, server: ServerProcess, program: str) -> None:
    beyond = "WyJzZi1wZXJtaXQtZXZlbnRzIiwxLFtbMCw5OTk5OTldLFsxLDk5OTk5OV1dXQ"  # offset 999999 in both shards
    journal = (home / "examples" / program).with_suffix(".jsonl")
    journal.write_bytes(orjson.dumps({"cursor": beyond, "event": {}, "permit": {}}) + b"\n")
    async with started(home, server, *running(program, "follow"), token=server.token()) as client:
        said = (await client.rest()).splitlines()
    assert said[-1].startswith("This cursor lies past the end of the log")
