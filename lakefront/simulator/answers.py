"""Answers and inputs as the systems have them: JSON, and a refusal that ends a handler wherever it is noticed."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response


class Refusal(Exception):
    """Ends a request with the ``response`` that the system gives to such a one."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def as_json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Data as JSON in UTF-8."""
    return Response(orjson.dumps(data), status, headers, "application/json; charset=utf-8")


def as_text(text: str, status: int = 200) -> Response:
    """A line of text."""
    return Response(text, status, media_type="text/plain")


async def read_json(request: Request, refusal: Response) -> Any:
    """The body as JSON; whatever else it is ends the request with ``refusal``."""
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Refusal(refusal) from None


async def read_object(request: Request, refusal: Response) -> dict[str, Any]:
    """The body as a JSON object; whatever else it is ends the request with ``refusal``."""
    data = await read_json(request, refusal)
    if not isinstance(data, dict):
        raise Refusal(refusal)
    return data


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The fields of a url-encoded form in their order, empty ones included; what is no UTF-8 is replaced."""
    text = (await request.body()).decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True)


def basic(request: Request) -> tuple[str, str] | None:
    """Name and password of ``Authorization: Basic``, empty where they cannot be read; ``None`` without one."""
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(told, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def bearer(request: Request) -> str:
    """The token of ``Authorization: Bearer``; ``""`` without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def number(value: object) -> float | None:
    """A number, or a text that is one; else ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < 1e12 else None


def coordinates(latitude: object, longitude: object) -> tuple[float, float] | None:
    """Two numbers that are a place on earth; else ``None``."""
    north, east = number(latitude), number(longitude)
    if north is None or east is None or abs(north) > 90 or abs(east) > 180:
        return None
    return north, east
