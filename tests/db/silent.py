"""A PostgreSQL whose host can vanish without a word, as one does when the network drops its packets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit


class SilentProxy:
    """Hands bytes on both ways; while ``silent`` is set it takes them in, and new connections too, and says nothing."""

    def __init__(self, folder: Path, dsn: str) -> None:
        parts = urlsplit(dsn)
        options = parse_qs(parts.query)
        name = f".s.PGSQL.{options['port'][0]}"
        self._target, self.path = Path(options["host"][0]) / name, folder / name
        self.dsn = dsn.replace(quote(options["host"][0], safe=""), quote(str(folder), safe=""))
        self.silent = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        server, there = await asyncio.open_unix_connection(self._target)
        for source, sink in ((client, there), (server, back)):
            task = asyncio.create_task(self._hand_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hand_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if not self.silent:
                    sink.write(data)
        except ConnectionError:
            return
        finally:
            sink.close()

    async def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def silent_proxy(folder: Path, dsn: str) -> AsyncIterator[SilentProxy]:
    """A proxy before ``dsn`` whose socket lies in ``folder``, which has to have a short name."""
    proxy = SilentProxy(folder, dsn)
    server = await asyncio.start_unix_server(proxy.serve, proxy.path)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
