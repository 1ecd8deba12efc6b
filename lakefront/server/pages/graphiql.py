"""``/graphql`` for browsers: GraphiQL where a page is asked for, the GraphQL door for everybody else."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lakefront.server.graphql_http import GRAPHQL_JSON, PLAIN_JSON
from lakefront.server.negotiation import negotiate

_HTML: Final = "text/html"


class GraphiQLOrGraphQL:
    """Tell a browser's visit from a client's query by what it accepts."""

    def __init__(self, page: ASGIApp, graphql: ASGIApp) -> None:
        self._page = page
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on to the one or the other."""
        await (self._page if _wants_page(scope) else self._graphql)(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    """Whether a GET or HEAD prefers HTML: it must be named, since ``*/*`` is what API clients send."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
    return negotiate(accept, (PLAIN_JSON, GRAPHQL_JSON, _HTML)) == _HTML
