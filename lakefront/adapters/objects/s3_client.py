"""Single requests to S3: bounded in time, tried again where that can help, and silent about what is secret."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import get_session  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError  # type: ignore[import-untyped]
from botocore.exceptions import ConnectionError as NoConnectionError

from lakefront.adapters.objects.s3_url import S3Location
from lakefront.errors import Unavailable

ATTEMPTS = 5
"""Times that a request is sent at most."""

TIMEOUT = 10.0
"""Seconds until a connection is open, and until an answer begins or goes on."""

SLOWEST = 256 * 1024
"""Bytes/s below which sending is given up."""

CONNECTIONS = 16

TRANSPORT_ERRORS = (NoConnectionError, HTTPClientError, IncompleteReadError, aiohttp.ClientError, TimeoutError)
"""What a request, or the body of an answer, ends in when the connection fails."""

_AGAIN_STATUS = {408, 429, 500, 502, 503, 504}
_AGAIN_CODES = {"InternalError", "RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"}
_ANSWERS = {404, 409, 412}
"""What the caller can make sense of."""

_NO_BUCKET = "the bucket does not exist; create it, or correct OBJECT_STORE_URL"
_DENIED = "the credentials may not do this; allow them to list the bucket, and to get and put objects"

_ADVICE = {
    "NoSuchBucket": _NO_BUCKET,
    "404": _NO_BUCKET,  # answers to HEAD have no body, and so no name
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "NoCredentialsError": "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "PartialCredentialsError": "the credentials are incomplete; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "it does not know the access key; correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; correct AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "NotImplemented": "it does not know create-only writes (If-None-Match); use one that does",
    "SSLError": "its certificate is not trusted; correct it, or set AWS_CA_BUNDLE",
}

_log = logging.getLogger(__name__)


def status(error: ClientError) -> int:
    """The HTTP status of a refusal."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code(error: ClientError) -> str:
    """S3's own name of a refusal, ``NoSuchKey`` say."""
    return str(error.response.get("Error", {}).get("Code", ""))


class S3Client:
    """A client of one bucket. Its errors hold no URLs and no headers, as either may hold a signature."""

    def __init__(self, location: S3Location, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        self._location = location
        self._timeout = timeout
        self._attempts = attempts
        self._client: Any = None

    async def open(self) -> None:
        """Read the credentials (as botocore finds them); no request is sent to the bucket."""
        # Their debug lines hold whole requests, signatures included; ours at that level would let them through.
        for name in ("botocore", "aiobotocore"):
            logging.getLogger(name).setLevel(logging.INFO)
        session = get_session()
        config = AioConfig(
            connect_timeout=self._timeout,
            read_timeout=self._timeout,
            retries={"total_max_attempts": 1},  # we try again ourselves: streams and conditions need more than it knows
            max_pool_connections=CONNECTIONS,
            signature_version="s3v4",
            # Newer checksums are not known to every S3; what we put has its Content-MD5, which is.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if self._location.endpoint else None,
            warm_up_loader_caches=True,
        )
        self._client = await session.create_client(
            "s3",
            endpoint_url=self._location.endpoint,
            region_name=self._location.region or session.get_config_variable("region") or "us-east-1",
            config=config,
        ).__aenter__()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def call(self, operation: str, *, size: int = 0, attempts: int | None = None, **parameters: Any) -> Any:
        """The answer to one request, whose body has ``size`` bytes; sent again while its failure may pass.

        A request may thus be carried out twice, or without its answer reaching us. Raises ``ClientError`` for 404, 409
        and 412, save that of a missing bucket, and ``Unavailable`` for any other failure.
        """
        failure: Exception | None = None
        async for _ in self.attempts(attempts):
            try:
                async with asyncio.timeout(2 * self._timeout + size / SLOWEST):
                    return await getattr(self._ready(), operation)(Bucket=self._location.bucket, **parameters)
            except ClientError as error:
                if status(error) in _ANSWERS and code(error) != "NoSuchBucket":
                    raise
                failure = error
                if status(error) not in _AGAIN_STATUS and code(error) not in _AGAIN_CODES:
                    break
            except TRANSPORT_ERRORS as error:
                failure = error
            except BotoCoreError as error:
                failure = error
                break
        raise unavailable(failure)

    async def attempts(self, most: int | None = None) -> AsyncIterator[int]:
        """0, 1, … with growing, random pauses between, so that many clients do not come again at once."""
        for attempt in range(most or self._attempts):
            if attempt:
                await asyncio.sleep(random.uniform(0.05, min(5.0, 0.2 * 2**attempt)))  # noqa: S311 (no secret)
            yield attempt

    async def sign(self, key: str, seconds: int) -> str:
        """A URL that gets the object for ``seconds``; made here, without a request."""
        try:
            url = await self._ready().generate_presigned_url(
                "get_object", Params={"Bucket": self._location.bucket, "Key": key}, ExpiresIn=seconds
            )
        except BotoCoreError as error:
            raise unavailable(error) from None
        return str(url)

    def _ready(self) -> Any:
        if self._client is None:
            raise RuntimeError("the object store is not open")
        return self._client


def unavailable(failure: Exception | None) -> Unavailable:
    """What the callers may know of a failure; the log gets its name, too, and neither any of its text."""
    name = code(failure) if isinstance(failure, ClientError) else type(failure).__name__
    name = name if name.isalnum() else "unknown"
    number = f", status {status(failure)}" if isinstance(failure, ClientError) else ""
    _log.warning("objects: the S3 object store failed: %s%s", name, number)
    advice = _ADVICE.get(name, "it does not answer as it should; look after it and the network")
    return Unavailable(f"The object store is not available ({name}{number}): {advice}.")
