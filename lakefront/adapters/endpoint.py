"""Where an outside system is, and with which keys it is reached: what the table ``integrations`` has, decrypted."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from lakefront.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how an outside system is reached: one row of ``integrations``, decrypted. Its repr shows no credential.

    ``city`` is a slug, empty where the provider is of no city; ``version`` grows with every change of the row.
    """

    tenant: str
    provider: str
    city: str
    base_url: str
    api_version: str
    credentials: Mapping[str, str]
    quota_daily: int | None
    version: int

    @property
    def key(self) -> "Key":
        """What breakers, bulkheads and quotas are kept by."""
        return Key(self.tenant, self.provider, self.city)

    def __repr__(self) -> str:
        names = ", ".join(sorted(self.credentials)) or "none"
        return (
            f"Endpoint({self.tenant!r}, {self.provider!r}, {self.city!r}, {self.base_url!r}, {self.api_version!r}, "
            f"credentials: {names}; quota_daily={self.quota_daily}, version={self.version})"
        )


class Key(NamedTuple):
    """Which integration: one tenant's, with one provider, for one city."""

    tenant: str
    provider: str
    city: str


def is_loopback(host: str) -> bool:
    """Whether ``host``, as a URL has it, is this very machine by its name: no look-up is made."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(url: str, *, loopback: bool) -> str:
    """The URL as it is kept, without a slash at its end; raises ``ValidationError`` for one that may not be called.

    https alone, so that keys are seen by nobody and the server proves its name; plain http, and this machine at all,
    only where ``loopback`` is allowed (the city simulator). No user, password, query or fragment: URLs may be logged.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("is no URL; give it as https://host/path") from None
    if not host or port == 0 or not url.isascii() or any(sign <= " " or sign in '\\"<>^`{|}\x7f' for sign in url):
        raise _refused("is no URL; give it as https://host/path, a name beyond ASCII in its punycode")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise _refused("may have no user, password, query or fragment; keys belong into the credentials")
    if any(segment in {".", ".."} for segment in parts.path.lower().replace("%2e", ".").split("/")):
        raise _refused("may not have the segments . and ..")
    if is_loopback(host):
        if not loopback:
            raise _refused("is this machine itself, which only a server with the city simulator may call")
    elif parts.scheme != "https":
        raise _refused("must be https, as keys are sent there")
    if parts.scheme not in {"http", "https"}:
        raise _refused("must be https")
    return url.rstrip("/")


def _refused(why: str) -> ValidationError:
    message = f"The base URL {why}."
    return ValidationError(message, details=[{"field": "baseUrl", "message": message}])
