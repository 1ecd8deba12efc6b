"""The S3 store against a network and a store that fail: nothing is lost, doubled, hung on, or told that is secret."""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from lakefront.adapters.objects import ObjectConflict
from lakefront.adapters.objects.s3 import S3Store
from lakefront.errors import NotFound, Unavailable
from tests.adapters.faults import Cut, Fault, FaultyProxy, Held, Late, Refuse, Slow, Truncate, first
from tests.adapters.s3_server import BUCKET, admin

MIB = 1024 * 1024
KEY = "stream/year=2024/batch-1-000.json.gz"
SMALL = b"small" * 1000
LARGE = b"large" * (2 * MIB)
PATIENCE = 0.5
"""Seconds that the store waits for an answer in these tests."""

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture
async def store(proxy: FaultyProxy, request: pytest.FixtureRequest) -> AsyncIterator[S3Store]:
    prefix = hashlib.md5(request.node.nodeid.encode()).hexdigest()
    made = S3Store(f"s3://{BUCKET}?endpoint={quote(proxy.url)}&prefix={prefix}", timeout=PATIENCE)
    await made.open()
    yield made
    await made.close()


async def content(store: S3Store, key: str = KEY) -> bytes:
    return b"".join([part async for part in store.read(key)])


FAULTS = [Refuse(500, "InternalError"), Refuse(503), Refuse(429), Cut(answered=False), Cut(answered=True)]


@pytest.mark.parametrize("fault", [*FAULTS, Late(2 * PATIENCE), Slow(2 * PATIENCE)], ids=repr)
@pytest.mark.parametrize(
    ("data", "at"),
    [(SMALL, "put"), (LARGE, "begin"), (LARGE, "part"), (LARGE, "complete")],
    ids=["put", "begin", "part", "complete"],
)
async def test_a_put_survives_what_passes(
    store: S3Store, proxy: FaultyProxy, data: bytes, at: str, fault: Fault
) -> None:
    proxy.rule = first(2, fault, at)
    await store.put(KEY, data)
    assert [request.kind for request in proxy.requests].count(at) >= 2
    proxy.rule = lambda _: None
    if isinstance(fault, Slow):
        await asyncio.sleep(2 * fault.seconds)  # until the first requests have come after all
    assert await content(store) == data
    assert await store.put(KEY, data) is False
    with pytest.raises(ObjectConflict):
        await store.put(KEY, data[:-1])


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
async def test_other_bytes_that_came_in_between_are_a_conflict(
    store: S3Store, proxy: FaultyProxy, data: bytes, s3: str
) -> None:
    creating, came_first = "put" if data is SMALL else "complete", asyncio.Event()

    async def put_before_it_ends() -> None:
        await proxy.asked(creating)
        await other.put(KEY, b"first")
        came_first.set()

    other = S3Store(f"s3://{BUCKET}?endpoint={quote(s3)}&prefix={store.location.prefix}")
    await other.open()
    proxy.rule = lambda request: Held(came_first) if request.kind == creating else None
    racing = asyncio.create_task(put_before_it_ends())
    with pytest.raises(ObjectConflict):
        await store.put(KEY, data)
    await racing
    await other.close()
    assert await content(store) == b"first"


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
async def test_a_conflicting_request_under_way_is_waited_for(store: S3Store, proxy: FaultyProxy, data: bytes) -> None:
    proxy.rule = first(2, Refuse(409, "ConditionalRequestConflict"), "put" if data is SMALL else "complete")
    assert await store.put(KEY, data) is True
    assert await content(store) == data


async def test_an_upload_that_vanished_begins_anew(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.rule = first(1, Refuse(404, "NoSuchUpload"), "part")
    assert await store.put(KEY, LARGE) is True
    assert await content(store) == LARGE


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
async def test_every_creation_asks_the_store_not_to_overwrite(store: S3Store, proxy: FaultyProxy, data: bytes) -> None:
    await store.put(KEY, data)
    creating = [request for request in proxy.requests if request.kind in {"put", "complete"}]
    assert [request.header("If-None-Match") for request in creating] == ["*"]


async def test_what_was_sent_carries_its_digest(store: S3Store, proxy: FaultyProxy) -> None:
    await store.put(KEY, LARGE)
    sent = [request for request in proxy.requests if request.kind == "part"]
    assert [len(request.body) for request in sent] == [8 * MIB, 2 * MIB]
    assert all(request.header("Content-MD5") for request in sent)


async def test_a_failed_upload_is_aborted(store: S3Store, proxy: FaultyProxy, s3: str) -> None:
    proxy.rule = first(1, Refuse(403, "AccessDenied"), "complete")
    with pytest.raises(Unavailable):
        await store.put(KEY, LARGE)
    client = admin(s3)
    assert not client.list_multipart_uploads(Bucket=BUCKET, Prefix=store.location.prefix).get("Uploads")
    client.close()
    assert await store.head(KEY) is None


async def test_a_cancelled_upload_is_aborted(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.rule = first(1, Late(0.4), "part")
    task = asyncio.create_task(store.put(KEY, LARGE))
    await proxy.asked("part")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert proxy.requests[-1].kind == "abort"


async def test_a_read_goes_on_where_it_was_cut(store: S3Store, proxy: FaultyProxy) -> None:
    data = bytes(range(256)) * 8192
    await store.put(KEY, data)
    proxy.then(Truncate(300_000), Refuse(503), Truncate(500_000), Cut(answered=True))
    assert await content(store) == data
    ranges = [request.header("Range") for request in proxy.requests if request.method == "GET"]
    assert ranges[0] is None
    assert all(re.fullmatch(r"bytes=\d+-", found or "") for found in ranges[1:])


async def test_a_read_that_is_always_cut_ends(store: S3Store, proxy: FaultyProxy) -> None:
    await store.put(KEY, SMALL)
    proxy.rule = first(100, Truncate(10), "get")
    with pytest.raises(Unavailable):
        await content(store)


async def test_a_store_that_is_away(store: S3Store, proxy: FaultyProxy) -> None:
    await proxy.stop()
    started = time.monotonic()
    with pytest.raises(Unavailable, match="not available"):
        await store.put(KEY, SMALL)
    assert time.monotonic() - started < 15
    await proxy.start()
    assert await store.put(KEY, SMALL) is True


async def test_a_store_that_never_answers(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.rule = lambda _: Late(60)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="ReadTimeoutError"):
        await store.head(KEY)
    assert time.monotonic() - started < 5 * PATIENCE + 12


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (Refuse(403, "AccessDenied"), "may not do this"),
        (Refuse(403, "SignatureDoesNotMatch"), "AWS_SECRET_ACCESS_KEY"),
        (Refuse(501, "NotImplemented"), "If-None-Match"),
        (Refuse(404, "NoSuchBucket"), "create it"),
        (Refuse(418, "<script>"), "look after it"),
    ],
    ids=lambda value: value.code if isinstance(value, Refuse) else "",
)
async def test_what_will_not_pass_is_told_at_once(
    store: S3Store, proxy: FaultyProxy, refusal: Refuse, advice: str
) -> None:
    proxy.rule = lambda _: refusal
    with pytest.raises(Unavailable, match=advice):
        await store.put(KEY, SMALL)
    assert len(proxy.requests) == 1
    with pytest.raises(Unavailable):
        await content(store)
    with pytest.raises(Unavailable):
        _ = [found async for found in store.list()]


async def test_a_missing_bucket_is_not_a_missing_object(proxy: FaultyProxy) -> None:
    store = S3Store(f"s3://nowhere?endpoint={quote(proxy.url)}")
    await store.open()
    with pytest.raises(Unavailable, match="create it"):
        await store.head(KEY)
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        await content(store)
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        await store.put(KEY, SMALL)
    await store.close()


async def test_without_credentials(monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = S3Store(f"s3://{BUCKET}?endpoint={quote(proxy.url)}")
    await store.open()
    for attempt in (store.put(KEY, SMALL), store.head(KEY), store.link(KEY, seconds=9)):
        with pytest.raises(Unavailable, match="AWS_ACCESS_KEY_ID"):
            await attempt
    await store.close()
    assert not proxy.requests


async def test_nothing_secret_is_told(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWHOEVER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t0ken")
    caplog.set_level(logging.DEBUG)
    store = S3Store(f"s3://{BUCKET}?endpoint={quote(proxy.url)}", timeout=PATIENCE, attempts=2)
    await store.open()
    link = await store.link(KEY, seconds=60)
    assert link is not None
    told = []
    for fault in (*FAULTS, Refuse(403, "InvalidAccessKeyId")):
        proxy.rule = lambda _, fault=fault: fault  # type: ignore[misc]
        with pytest.raises(Unavailable) as raised:
            await store.put(KEY, SMALL)
        told.append(str(raised.value))
    await store.close()
    told.append(caplog.text)
    for secret in ("AKIAWHOEVER", "hunter2", "t0ken", "Signature=", link):
        assert not any(secret in text for text in told)
    assert "objects: the S3 object store failed: SlowDown, status 503" in caplog.text


async def test_a_link_hands_out_its_object_and_no_other(store: S3Store) -> None:
    await store.put(KEY, SMALL)
    link = await store.link(KEY, seconds=60)
    assert link is not None
    async with httpx.AsyncClient() as client:
        assert (await client.get(link)).content == SMALL
    assert "X-Amz-Expires=60" in link
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    assert "X-Amz-SignedHeaders=host" in link
    for seconds in (0, -1, 604_801):
        with pytest.raises(ValueError, match="1 to 604800"):
            await store.link(KEY, seconds=seconds)


async def test_others_objects_are_not_listed(store: S3Store, s3: str) -> None:
    prefix, client = store.location.prefix, admin(s3)
    for name in (f"{prefix}a//b", f"{prefix}.hidden", f"{prefix}folder/", f"x{prefix}", f"{prefix}plain"):
        client.put_object(Bucket=BUCKET, Key=name, Body=b"1")
    client.close()
    assert [found.key async for found in store.list()] == ["plain"]


async def test_two_prefixes_are_two_stores(proxy: FaultyProxy) -> None:
    url = f"s3://{BUCKET}?endpoint={quote(proxy.url)}&prefix="
    one, two = S3Store(f"{url}one"), S3Store(f"{url}/one/two/")
    await one.open()
    await two.open()
    await two.put("x", b"2")
    assert await content(one, "two/x") == b"2"
    with pytest.raises(NotFound):
        await content(two, "two/x")
    await one.close()
    await two.close()


async def test_a_store_that_was_not_opened(proxy: FaultyProxy) -> None:
    store = S3Store(f"s3://{BUCKET}?endpoint={quote(proxy.url)}")
    with pytest.raises(RuntimeError, match="not open"):
        await store.head(KEY)
    await store.close()
