"""All benchmarks, one after the other: ``python -m bench``."""

import uvloop

from bench import append, lake, server

uvloop.run(append.main())
uvloop.run(lake.main())
uvloop.run(server.main())
