"""The built pages as files: what may be served, under which headers. They hold no data, so they are public (T7)."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.responses import FileResponse, Response

from lakefront.errors import NotFound
from lakefront.server.bodies import header
from lakefront.server.responses import json_response, knows
from lakefront.server.rest.door import RestRequest

FOLDER: Final = Path(__file__).parent / "static" / "console"
"""Where ``make install`` builds the pages, and where the wheel has them."""

ASSETS_PATH: Final = "/console/assets/{name}"

NOT_BUILT: Final = (
    "The web pages are not built. Run `make install` in the checkout, or `make wheel` for one that has them; "
    "everything else works without.\n"
)

PAGE_HEADERS: Final[Mapping[str, str]] = {
    # Monaco and styled-components write style elements and attributes; fonts and small pictures come inside of CSS.
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
}

_ASSET_HEADERS: Final[Mapping[str, str]] = {
    # A worker has the policy that comes with its script.
    "content-security-policy": "default-src 'none'; script-src 'self'; frame-ancestors 'none'",
    # The name has the content's hash in it.
    "cache-control": "public, max-age=31536000, immutable",
}

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
}

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Page:
    """One of the built pages as a handler; 503 in plain text while it is not built."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self._path = folder / f"{name}.html"

    async def __call__(self, request: RestRequest) -> Response:
        """Answer with the page, whoever asks: it is empty until its visitor gives it a token."""
        del request
        if not await asyncio.to_thread(self._path.is_file):
            return json_response(NOT_BUILT.encode(), status=503, media_type="text/plain; charset=utf-8")
        return FileResponse(self._path, headers=PAGE_HEADERS, media_type="text/html")


class Assets:
    """Scripts, styles and fonts of the pages, to be kept by browsers for ever."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder / "assets"

    async def __call__(self, request: RestRequest) -> Response:
        """Answer with the file ``name`` of the path, or 304 to who has it; raises ``NotFound``."""
        path = self._folder / _checked(request.scope["path_params"]["name"])
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("There is no such file. Load the page anew: it may be of an earlier build.")
        headers = {**_ASSET_HEADERS, "etag": f'"{path.name}"'}
        if knows(header(request.scope["headers"], b"if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        return FileResponse(path, headers={**headers, "content-type": _MEDIA_TYPES[path.suffix]})


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None or Path(name).suffix not in _MEDIA_TYPES:
        raise NotFound("There is no such file.")
    return name
