"""``lakefront serve``."""

import gc
from typing import Annotated

import typer

from lakefront.server.cli.common import Data, settings_with


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", show_default="8000")
    ] = None,
    data: Data = None,
    demo: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo", help="Load made-up permits and live events.", show_default="on, unless DATABASE_URL"
        ),
    ] = None,
) -> None:
    """Start the server; without settings it brings its own PostgreSQL and Redis."""
    settings = settings_with(host=host, port=port, data=data)
    gc.disable()  # what is imported stays: looking through it again and again takes a fifth of the start
    from lakefront.server.serve import run

    run(settings, demo=settings.embedded_postgres if demo is None else demo)
