"""Objects in S3, R2 and whatever speaks like them, written once by conditional requests (P4)."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from lakefront.adapters.objects.keys import check_key, check_prefix
from lakefront.adapters.objects.s3_client import (
    ATTEMPTS,
    TIMEOUT,
    TRANSPORT_ERRORS,
    S3Client,
    code,
    status,
    unavailable,
)
from lakefront.adapters.objects.s3_url import S3Location
from lakefront.adapters.objects.store import ObjectConflict, StoredObject
from lakefront.errors import NotFound, Unavailable

PART = 8 * 1024 * 1024
"""Bytes of a part of a multipart upload, and of the largest object that is put without one."""

READ = 256 * 1024
"""Bytes that are handed on at once."""

PAGE = 1000
"""Objects that are listed at once: S3's own limit."""

MAX_LINK = 7 * 24 * 3600
"""Seconds that a signed URL can hold at most."""


class S3Store:
    """An ``ObjectStore`` in a bucket, or below a prefix in one.

    Credentials are those that botocore finds (environment, files, the machine's role). Nothing is deleted, so they need
    no right to. A lost answer is no lost object: the request is sent again, and what it finds is compared.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        """``timeout`` is in seconds for each step of a request; raises ``ValueError`` for a URL that is wrong."""
        self.location = S3Location.parse(url)
        self._client = S3Client(self.location, timeout=timeout, attempts=attempts)

    async def open(self) -> None:
        """Read the credentials; the bucket is first asked when it is needed."""
        await self._client.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def put(self, key: str, data: bytes) -> bool:
        """As ``ObjectStore.put`` promises; False, too, where the answer to our own success was lost."""
        name = self._name(key)
        async for _ in self._client.attempts():
            try:
                if len(data) <= PART:
                    await self._create(name, data)
                    return True
                # Looking first spares sending all of it; what decides is the condition in the end.
                if await self.head(key) is None:
                    await self._create_in_parts(name, data)
                    return True
            except ClientError as error:
                # 412: something is there. 404: the upload is gone, maybe by our own success whose answer was lost.
                if status(error) == 409:  # another request for this key is under way
                    continue
            match await self._holds(key, data):
                case True:
                    return False
                case False:
                    raise ObjectConflict(f"Other bytes are stored as {key!r}. Objects never change: use another key.")
        raise Unavailable("Others are writing the same object all the time. Try again.")

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """As ``ObjectStore.read`` promises; goes on where it was when the connection is cut."""
        name, offset, size = self._name(key), 0, -1
        async for _ in self._client.attempts():
            try:
                answer = await self._client.call("get_object", Key=name, **_from(offset))
                size = offset + answer["ContentLength"]
                async with answer["Body"] as body:
                    while part := await body.read(READ):
                        yield part
                        offset += len(part)
            except ClientError as error:
                if code(error) == "NoSuchKey":
                    raise NotFound(f"There is no object {key!r} in the store.") from None
                raise unavailable(error) from None
            except TRANSPORT_ERRORS as error:
                if offset == size:
                    return
                failure = error
            else:
                return
        raise unavailable(failure)

    async def head(self, key: str) -> StoredObject | None:
        """As ``ObjectStore.head`` promises."""
        name = self._name(key)
        try:
            answer = await self._client.call("head_object", Key=name)
        except ClientError as error:
            if status(error) != 404:
                raise unavailable(error) from None
        else:
            return StoredObject(key, answer["ContentLength"])
        # The answer to HEAD has no body to tell a missing object from a missing bucket.
        try:
            await self._client.call("head_bucket")
        except ClientError as error:
            raise unavailable(error) from None
        return None

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """As ``ObjectStore.list`` promises, a page in memory at a time; others' odd names are passed over."""
        check_prefix(prefix)
        token: dict[str, Any] = {}
        while True:
            try:
                answer = await self._client.call(
                    "list_objects_v2", Prefix=self.location.prefix + prefix, MaxKeys=PAGE, **token
                )
            except ClientError as error:
                raise unavailable(error) from None
            for entry in answer.get("Contents", ()):
                key = entry["Key"].removeprefix(self.location.prefix)
                with suppress(ValueError):
                    yield StoredObject(check_key(key), entry["Size"])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def link(self, key: str, *, seconds: int) -> str | None:
        """A signed URL, for at most seven days; whether the object is there is not looked at."""
        if not 1 <= seconds <= MAX_LINK:
            raise ValueError(f"A link holds for 1 to {MAX_LINK} seconds.")
        return await self._client.sign(self._name(key), seconds)

    def _name(self, key: str) -> str:
        return self.location.prefix + check_key(key)

    async def _create(self, name: str, data: bytes) -> None:
        await self._client.call(
            "put_object", size=len(data), Key=name, Body=data, ContentMD5=await _md5(data), IfNoneMatch="*"
        )

    async def _create_in_parts(self, name: str, data: bytes) -> None:
        answer = await self._client.call("create_multipart_upload", Key=name)
        upload: dict[str, Any] = {"Key": name, "UploadId": answer["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            for start in range(0, len(data), PART):
                part, number = data[start : start + PART], len(parts) + 1
                answer = await self._client.call(
                    "upload_part",
                    size=len(part),
                    PartNumber=number,
                    Body=part,
                    ContentMD5=await _md5(part),
                    **upload,
                )
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            await self._client.call(
                "complete_multipart_upload", MultipartUpload={"Parts": parts}, IfNoneMatch="*", **upload
            )
        except BaseException:
            # Parts that nobody completes are paid for until they are aborted. Once: a store that is away stays so.
            with suppress(ClientError, Unavailable):
                await self._client.call("abort_multipart_upload", attempts=1, **upload)
            raise

    async def _holds(self, key: str, data: bytes) -> bool | None:
        """Whether exactly ``data`` is stored; None if nothing is."""
        offset = 0
        try:
            async with aclosing(self.read(key)) as parts:
                async for part in parts:
                    if data[offset : offset + len(part)] != part:
                        return False
                    offset += len(part)
        except NotFound:
            return None
        return offset == len(data)


def _from(offset: int) -> dict[str, Any]:
    return {"Range": f"bytes={offset}-"} if offset else {}


async def _md5(data: bytes) -> str:
    """Content-MD5, by which the store finds what the way has damaged; in a thread, as it takes milliseconds."""
    digest = await asyncio.to_thread(hashlib.md5, data, usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()
