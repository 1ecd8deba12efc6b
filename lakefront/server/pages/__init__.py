"""Web pages (R16): GraphiQL, Swagger UI and ReDoc, built from ``console/`` by ``make install``; no CDN has a part."""
