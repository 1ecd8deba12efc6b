"""Which web pages may use the doors: those of the server itself and of ``settings.allowed_origins``."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from lakefront.errors import Forbidden
from lakefront.server.bodies import Headers, header
from lakefront.server.hosts import split_authority

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def check_origin(headers: Headers, allowed: Sequence[str]) -> str | None:
    """The origin if it is one of ``allowed``, ``None`` if there is none or it is the server's own; else ``Forbidden``.

    Only browsers send ``Origin``; a page of another site must not use a visitor's place in the network. What ``Host``
    says can be relied on here: ``hosts.HostCheck`` has refused names that are not the server's.
    """
    raw = header(headers, b"origin")
    if raw is None:
        return None
    origin = raw.decode("latin-1")
    if _normal(origin) in {_normal(known) for known in allowed}:
        return origin
    host = (header(headers, b"host") or b"").decode("latin-1")
    try:
        page = urlsplit(_normal(origin))
        port = _DEFAULT_PORTS[page.scheme]
        own = _authority(page.netloc, port) == _authority(host, port)
    except (KeyError, ValueError):
        own = False
    if not own:
        raise Forbidden("Pages of this origin may not use the server. Add it to LAKEFRONT_ALLOWED_ORIGINS.")
    return None


def _normal(origin: str) -> str:
    return origin.rstrip("/").lower()


def _authority(netloc: str, default_port: str) -> tuple[str, str]:
    # The page's default port counts for both: a proxy in front may have taken the TLS off.
    host, port = split_authority(netloc)
    return host, port or default_port
