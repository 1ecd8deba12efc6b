"""All benchmarks, one after the other: ``python -m bench``."""

import uvloop

from bench import append, lake, rights, server

uvloop.run(append.main())
uvloop.run(lake.main())
uvloop.run(rights.main())
uvloop.run(server.main())
