"""What an ``s3://`` URL says."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from lakefront.adapters.objects.keys import check_key

MAX_PREFIX = 100
"""Bytes of the longest prefix; a key takes 900 of S3's 1,024."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where the objects are; ``prefix`` is empty or ends with a slash, and stands before every key."""

    bucket: str
    endpoint: str | None = None
    region: str | None = None
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> "S3Location":
        """Read ``s3://bucket?endpoint=…&region=…&prefix=…``.

        Raises ``ValueError`` that says what is wrong without repeating it, as a URL that is wrong may hold a secret.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise _refusal("it holds credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc):
            raise _refusal("it does not begin with s3:// and a bucket's name")
        if parts.path.strip("/"):
            raise _refusal("it has a path; put that into prefix=")
        options = dict(pairs := parse_qsl(parts.query, keep_blank_values=True))
        if len(options) < len(pairs) or not options.keys() <= {"endpoint", "region", "prefix"}:
            raise _refusal("it has an option twice, or one besides endpoint, region and prefix")
        return cls(
            bucket=parts.netloc,
            endpoint=_endpoint(options["endpoint"]) if options.get("endpoint") else None,
            region=_region(options["region"]) if options.get("region") else None,
            prefix=_prefix(options["prefix"]) if options.get("prefix") else "",
        )


def _endpoint(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _refusal("its endpoint is no http:// or https:// URL")
    if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise _refusal("its endpoint is more than a host and a port")
    return f"{parts.scheme}://{parts.netloc}"


def _region(region: str) -> str:
    if not _REGION.fullmatch(region):
        raise _refusal("its region is no region's name")
    return region


def _prefix(prefix: str) -> str:
    try:
        check_key(prefix.strip("/"))
    except ValueError:
        raise _refusal("its prefix is no relative path of plain segments") from None
    if len(prefix.encode()) > MAX_PREFIX:
        raise _refusal(f"its prefix is longer than {MAX_PREFIX} bytes")
    return f"{prefix.strip('/')}/"


def _refusal(reason: str) -> ValueError:
    return ValueError(
        f"OBJECT_STORE_URL cannot be used: {reason}. "
        "Write s3://bucket?endpoint=https://host&region=name&prefix=path; all but the bucket may be left out."
    )
