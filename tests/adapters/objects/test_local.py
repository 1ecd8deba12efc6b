"""The local store against kills, full disks, links that lead out, and what others leave in its folder."""

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakefront.adapters.objects import LocalStore, ObjectConflict
from lakefront.adapters.objects.folder import ABANDONED, INCOMING
from lakefront.adapters.objects.local import THREADS
from lakefront.errors import NotFound, Unavailable

KEY = "stream/year=2024/batch.json.gz"


@pytest.fixture
async def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path / "objects")
    await made.open()
    return made


async def keys(store: LocalStore) -> list[str]:
    return [found.key async for found in store.list()]


async def content(store: LocalStore, key: str) -> bytes:
    return b"".join([part async for part in store.read(key)])


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def left_over(store: LocalStore) -> list[str]:
    return [path.name for path in (store.folder / INCOMING).iterdir()]


async def test_files_are_private_and_open_as_they_are(store: LocalStore) -> None:
    await store.put(KEY, b"plain")
    assert (store.folder / KEY).read_bytes() == b"plain"
    assert not left_over(store)
    for path in [store.folder, *store.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from lakefront.adapters.objects import LocalStore

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, sys.argv[2], die)
asyncio.run(LocalStore(Path(sys.argv[1])).put(sys.argv[3], b"whole" * 100_000))
"""


@pytest.mark.parametrize("at", ["write", "fsync", "link", "unlink"])
async def test_a_kill_leaves_all_or_nothing(store: LocalStore, at: str) -> None:
    killed = run(KILLED, store.folder, at, KEY)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert await keys(store) == ([KEY] if at == "unlink" else [])
    assert len(left_over(store)) == 1
    assert await store.put(KEY, b"whole" * 100_000) is (at != "unlink")
    assert await content(store, KEY) == b"whole" * 100_000


async def test_only_what_is_abandoned_is_cleaned(store: LocalStore) -> None:
    for name, age in (("1-old", ABANDONED + 60), ("2-being-written", 5.0)):
        path = store.folder / INCOMING / name
        path.write_bytes(b"half")
        os.utime(path, times=(time.time() - age,) * 2)
    await store.open()
    assert left_over(store) == ["2-being-written"]
    assert await keys(store) == []


@pytest.mark.parametrize("where", ["", "stream", "stream/year=2024"])
async def test_links_below_the_folder_are_not_followed(store: LocalStore, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    (outside / "year=2024").mkdir(parents=True)
    (outside / "batch.json.gz").write_bytes(b"secret")
    (outside / "year=2024" / "batch.json.gz").write_bytes(b"secret")
    link = store.folder / (where or KEY)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside if where else outside / "batch.json.gz")
    before = sorted(outside.rglob("*"))
    assert await keys(store) == []
    assert await store.head(KEY) is None
    with pytest.raises(NotFound):
        await content(store, KEY)
    for data in (b"secret", b"other"):
        with pytest.raises(ObjectConflict):
            await store.put(KEY, data)
    assert sorted(outside.rglob("*")) == before


async def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    store = LocalStore(tmp_path / "link")
    assert await store.put(KEY, b"x")
    assert (tmp_path / "disk" / KEY).read_bytes() == b"x"


async def test_what_is_no_object_is_neither_listed_nor_read_nor_waited_for(store: LocalStore) -> None:
    folder = store.folder / "stream"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / ".hidden").write_bytes(b"x")
    (folder / "back\\slash").write_bytes(b"x")
    os.mknod(os.fsencode(folder) + b"/\xff")
    (folder / "sub").mkdir()
    assert await keys(store) == []
    for name in ("pipe", "sub"):
        assert await store.head(f"stream/{name}") is None
        with pytest.raises(NotFound):
            await content(store, f"stream/{name}")
        with pytest.raises(ObjectConflict):
            await store.put(f"stream/{name}", b"x")


async def test_no_object_below_another(store: LocalStore) -> None:
    await store.put("a/b", b"x")
    with pytest.raises(ObjectConflict, match="'b' on the way to 'a/b' is no folder"):
        await store.put("a/b/c", b"x")
    with pytest.raises(ObjectConflict):
        await store.put("a", b"x")


@pytest.mark.parametrize(
    ("call", "number", "advice"),
    [
        ("write", errno.ENOSPC, "disk is full"),
        ("fsync", errno.EIO, "look after its disk"),
        ("fsync", errno.EDQUOT, "quota"),
        ("link", errno.EPERM, "hard links"),
        ("mkdir", errno.EACCES, "give it the right"),
        ("open", errno.EROFS, "read-only"),
    ],
)
async def test_what_the_system_refuses_is_told(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int, advice: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(Unavailable, match=advice):
            await store.put(KEY, b"x" * 100)
    assert not left_over(store)
    assert await keys(store) == []
    assert await store.put(KEY, b"x" * 100) is True


LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from lakefront.adapters.objects import LocalStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
asyncio.run(LocalStore(Path(sys.argv[1])).put(sys.argv[2], bytes(5000)))
"""


async def test_a_write_that_the_kernel_stops_half_way_leaves_nothing(store: LocalStore) -> None:
    stopped = run(LIMITED, store.folder, KEY)
    assert "Unavailable: The object store's folder could not be written: File too large" in stopped.stderr
    assert await keys(store) == []
    assert not left_over(store)


async def test_a_folder_that_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(tmp_path / "file" / "objects")
    await store.open()
    assert "is not ready" in caplog.text
    with pytest.raises(Unavailable, match="not a folder"):
        await store.put(KEY, b"x")
    with pytest.raises(Unavailable):
        await keys(store)


class Hanging:
    """``os.link`` as on a network drive whose server is gone, until ``back``."""

    def __init__(self) -> None:
        self.link = os.link
        self.back = threading.Event()
        self.calls: list[str] = []

    def __call__(self, source: str, name: str, **options: Any) -> None:
        self.calls.append(name)
        assert self.back.wait(20)
        self.link(source, name, **options)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    drive = Hanging()
    monkeypatch.setattr(os, "link", drive)
    yield drive
    drive.back.set()


async def put_impatiently(store: LocalStore, key: str, data: bytes = b"x") -> bool:
    async with asyncio.timeout(0.1):
        return await store.put(key, data)


async def test_a_put_that_hangs_is_not_begun_again(store: LocalStore, hanging: Hanging) -> None:
    for _ in range(2 * THREADS):
        with pytest.raises(TimeoutError):
            await put_impatiently(store, KEY)
    assert hanging.calls == ["batch.json.gz"]
    assert await store.head("other") is None
    second, third = asyncio.create_task(store.put(KEY, b"x")), asyncio.create_task(store.put(KEY, b"y"))
    await asyncio.sleep(0.1)
    hanging.back.set()
    assert await second is False
    with pytest.raises(ObjectConflict):
        await third
    assert await content(store, KEY) == b"x"


async def test_a_folder_that_hangs_takes_nobody_elses_threads(store: LocalStore, hanging: Hanging) -> None:
    outcomes = await asyncio.gather(*(put_impatiently(store, f"s/{n}") for n in range(40)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TimeoutError}
    assert len(hanging.calls) == THREADS
    async with asyncio.timeout(1):
        assert await asyncio.to_thread(int) == 0
        await store.close()
    hanging.back.set()
    assert sorted(await asyncio.gather(*(store.put(f"s/{n}", b"x") for n in range(40)))) == [False] * 4 + [True] * 36


HANGING = """
import asyncio, os, sys, time
from pathlib import Path
from lakefront.adapters.objects import LocalStore

async def main():
    store = LocalStore(Path(sys.argv[1]))
    try:
        async with asyncio.timeout(0.2):
            await store.put(sys.argv[2], b"x")
    except TimeoutError:
        await store.close()
        print("closed")

os.link = lambda *_, **__: time.sleep(50)
asyncio.run(main())
"""


async def test_a_process_ends_while_its_folder_hangs(store: LocalStore) -> None:
    started = time.monotonic()
    ended = run(HANGING, store.folder, KEY)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("closed\n", "", 0)
    assert time.monotonic() - started < 10


async def test_a_folder_signs_no_links(store: LocalStore) -> None:
    await store.put(KEY, b"x")
    assert await store.link(KEY, seconds=60) is None
