"""All benchmarks, one after the other: ``python -m bench``."""

import uvloop

from bench import adapters, append, lake, rights, server

uvloop.run(adapters.main())
uvloop.run(append.main())
uvloop.run(lake.main())
uvloop.run(rights.main())
uvloop.run(server.main())
