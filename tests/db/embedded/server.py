"""A server that does nothing but run the embedded parts, for tests that kill it: `python -m … DATA [postgres] [redis]`.

Prints one line of JSON once the parts answer (or `{"refused": message}`), then lives until SIGTERM.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from lakefront.db.embedded import EmbeddedError, EmbeddedParts


async def main(data: Path, wanted: set[str]) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    parts = EmbeddedParts(data, postgres="postgres" in wanted, redis="redis" in wanted, parameters={"fsync": "off"})
    try:
        await parts.start()
    except EmbeddedError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return
    said = {
        "dsn": parts.postgres.dsn() if parts.postgres else None,
        "url": parts.redis.url if parts.redis else None,
        "pids": [part.pid for part in (parts.postgres, parts.redis) if part],
    }
    print(json.dumps(said), flush=True)
    await stopped.wait()
    await parts.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), set(sys.argv[2:])))
