"""What every object store promises, asked of each of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakefront.adapters.objects import LocalStore, ObjectConflict, ObjectStore, StoredObject
from lakefront.adapters.objects.keys import check_key
from lakefront.adapters.objects.s3 import S3Store
from lakefront.errors import NotFound
from tests.adapters.s3_server import BUCKET

MIB = 1024 * 1024
KEY = "sf-permit-events/year=2024/month=03/day=05/hour=09/batch-1709629200-000.json.gz"
_numbers = count()


@pytest.fixture(params=["local", "s3"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, s3: str, credentials: None
) -> AsyncIterator[ObjectStore]:
    made: ObjectStore
    if request.param == "local":
        made = LocalStore(tmp_path / "objects")
    else:
        made = S3Store(f"s3://{BUCKET}?endpoint={quote(s3)}&prefix=contract/{next(_numbers)}")
    await made.open()
    yield made
    await made.close()


async def content(store: ObjectStore, key: str) -> bytes:
    return b"".join([part async for part in store.read(key)])


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [found.key async for found in store.list(prefix)]


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, 20 * MIB], ids=str)
async def test_an_object_is_created_once_and_read_back(store: ObjectStore, size: int) -> None:
    data = bytes(range(251)) * (size // 251) + bytes(size % 251)
    assert await store.put(KEY, data) is True
    assert await store.put(KEY, data) is False
    assert await content(store, KEY) == data
    assert await store.head(KEY) == StoredObject(KEY, size)
    assert [found async for found in store.list()] == [StoredObject(KEY, size)]


@pytest.mark.parametrize("size", [3, 9 * MIB], ids=str)
async def test_an_object_never_changes(store: ObjectStore, size: int) -> None:
    first = b"a" * size
    await store.put(KEY, first)
    for other in (b"", b"b" * size, first[:-1], first + b"a", first[:-1] + b"b"):
        with pytest.raises(ObjectConflict, match="never change"):
            await store.put(KEY, other)
    assert await content(store, KEY) == first


@pytest.mark.parametrize("size", [10, 9 * MIB], ids=str)
async def test_of_racing_creators_with_equal_bytes_all_succeed(store: ObjectStore, size: int) -> None:
    outcomes = await asyncio.gather(*(store.put(KEY, b"x" * size) for _ in range(20 if size < MIB else 5)))
    assert sorted(outcomes) == [False] * (len(outcomes) - 1) + [True]
    assert await content(store, KEY) == b"x" * size


@pytest.mark.parametrize("size", [10, 9 * MIB], ids=str)
async def test_of_racing_creators_with_different_bytes_one_wins(store: ObjectStore, size: int) -> None:
    bodies = [bytes([number]) * size for number in range(20 if size < MIB else 5)]
    outcomes = await asyncio.gather(*(store.put(KEY, body) for body in bodies), return_exceptions=True)
    winners = [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome is True]
    assert len(winners) == 1
    assert sum(isinstance(outcome, ObjectConflict) for outcome in outcomes) == len(bodies) - 1
    assert await content(store, KEY) == winners[0]


async def test_what_is_not_there(store: ObjectStore) -> None:
    assert await store.head(KEY) is None
    assert await keys(store) == []
    with pytest.raises(NotFound, match="batch-1709629200-000"):
        await content(store, KEY)
    await store.put("a/b", b"")
    assert await store.head("a") is None
    assert await store.head("a/b/c") is None
    with pytest.raises(NotFound):
        await content(store, "a")


async def test_objects_are_listed_in_the_order_of_their_keys(store: ObjectStore) -> None:
    names = ["a/b", "a-b/c", "a.b", "a/b-c", "a=1/x", "ab", "b/é", "b/z", "é/1", "b/\U0001f332", "b/~"]
    for name in names:
        await store.put(name, name.encode())
    assert await keys(store) == sorted(names)
    for prefix in ("a", "a/", "a/b", "a-", "b/", "é", "ab", "ab/", "zzz", "a/b/c/"):
        assert await keys(store, prefix) == sorted(name for name in names if name.startswith(prefix))


async def test_a_list_longer_than_a_page(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakefront.adapters.objects.s3.PAGE", 10)
    names = [f"many/{number % 7}/{number:04}" for number in range(103)]
    await asyncio.gather(*(store.put(name, b"") for name in names))
    assert await keys(store, "many/") == sorted(names)


async def test_reading_can_stop_early(store: ObjectStore) -> None:
    await store.put(KEY, bytes(5 * MIB))
    async with aclosing(store.read(KEY)) as parts:
        async for part in parts:
            assert part
            break
    assert len(await content(store, KEY)) == 5 * MIB


BAD = [
    "", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a/.hidden", ".incoming/x", "a\\b",
    "a\0b", "a\nb", "a\x7f", "a\x85", "a/\udcff", "x" * 256, "x/" * 450 + "x", "é" * 128,
]  # fmt: skip


@pytest.mark.parametrize("key", BAD, ids=ascii)
async def test_other_than_plain_keys_are_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    before = files(tmp_path)
    with pytest.raises(ValueError, match="is no object key"):
        await store.put(key, b"x")
    with pytest.raises(ValueError, match="is no object key"):
        await content(store, key)
    with pytest.raises(ValueError, match="is no object key"):
        await store.head(key)
    with pytest.raises(ValueError, match="is no object key"):
        await store.link(key, seconds=60)
    assert files(tmp_path) == before


@pytest.mark.parametrize("prefix", ["/", "..", "../", "a/../b", "a//", ".", "a\\", "a\0"], ids=ascii)
async def test_a_prefix_that_no_key_has_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="is no object key"):
        await keys(store, prefix)


SEGMENTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(key=st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join), data=st.binary(max_size=50))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_key_is_kept_or_refused(store: ObjectStore, key: str, data: bytes) -> None:
    key = f"{next(_numbers)}/{key}"
    try:
        check_key(key)
    except ValueError:
        with pytest.raises(ValueError, match="is no object key"):
            await store.put(key, data)
        return
    assert await store.put(key, data)
    assert await content(store, key) == data
    assert [found async for found in store.list(key)] == [StoredObject(key, len(data))]


async def test_what_is_cancelled_can_be_put_again(store: ObjectStore) -> None:
    data = bytes(9 * MIB)
    for patience in (0.001, 0.02, 0.05):
        task = asyncio.create_task(store.put(KEY, data))
        await asyncio.wait([task], timeout=patience)
        task.cancel()
        await asyncio.wait([task])
    await store.put(KEY, data)
    assert await content(store, KEY) == data
