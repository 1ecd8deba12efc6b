"""One path, several methods: each has a handler of its own."""

from starlette.responses import Response

from lakefront.server.openapi import described_by
from lakefront.server.rest.door import Handler, RestRequest


def by_method(**handlers: Handler) -> Handler:
    """A handler for ``get=…, post=…``, which declares what each of them declares."""

    async def handle(request: RestRequest) -> Response:
        method = request.scope["method"].lower()
        return await handlers["get" if method == "head" else method](request)

    handle.openapi = {  # type: ignore[attr-defined] # functions take attributes
        method: operation
        for handler in handlers.values()
        for method, operation in (described_by(handler) or {}).items()
    }
    return handle
