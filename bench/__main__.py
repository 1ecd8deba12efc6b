"""All benchmarks, one after the other: ``python -m bench``."""

import uvloop

from bench import append, server

uvloop.run(append.main())
uvloop.run(server.main())
