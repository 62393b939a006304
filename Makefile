# Each target works on a fresh clone with Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is compiled is kept, whatever the environment says: a run of the tests starts dozens of processes.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# The service that `make bench` compares with has packages of its own.
PEER := .venv-peer

.PHONY: help run test lint format requirements vendor browser looks pictures clean wrk bench bench-growth bench-memory bench-streams bench-hung partitions faults cluster roll cluster-tools kill-streams kill-exchanges races race-cleanup big-stats backups copy-big audit sbom fuzz coverage mutants faults-around fault-tools otel promtool observability postman postman-files newman
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(VENV)/run ## Install, migrate, make the demo accounts, serve on HOST:PORT (127.0.0.1:8000)
	@exec $(BIN)/python serve.py

test: $(VENV)/dev ## Run every test, on SQLite and on a real PostgreSQL
	@$(PYTEST) -n 2 --dist worksteal $(ARGS)

lint: $(VENV)/dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/dev ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/dev $(PEER)/ready ## chatsvc beside a FastAPI service and beside the bare SQL, same rows and answers (needs wrk; ARGS="--rounds 5 --write", or --sqlite)
	@$(BIN)/python -m bench.compare $(ARGS)

bench-growth: $(VENV)/dev ## What depth and size cost, on both engines: 20,000 messages, 5,000 sessions (ARGS="--engine sqlite")
	@$(BIN)/python -m bench.growth $(ARGS)

bench-memory: $(VENV)/dev ## A worker's memory over 200,000 requests, and how long make run takes to answer (needs wrk)
	@$(BIN)/python -m bench.worker_memory $(ARGS)

bench-streams: $(VENV)/dev ## A thousand replies at once: gaps, and what a list costs meanwhile (ARGS="--streams 500")
	@$(BIN)/python -m bench.streams $(ARGS)

bench-hung: $(VENV)/dev ## A hundred sends to a model that never answers: what reads and appends cost meanwhile, and who holds a connection
	@$(BIN)/python -m bench.hung $(ARGS)

partitions: $(VENV)/dev ## Messages in partitions beside the plain table, up to 5,000,000: requests, upkeep, an erasure, the move (a quarter of an hour; ARGS="--messages 50000000")
	@$(BIN)/python -m bench.partitions $(ARGS)

faults: $(VENV)/dev ## Break things under a ledger of all that is written and seen, on both engines (minutes; ARGS="--long" for the full figures)
	@$(BIN)/python -m tests.faults.all $(ARGS)

faults-around: $(VENV)/dev ## Full disks, restarts behind nginx, Redis away, slow HTTP and floods, migrations, clocks (as root; needs make fault-tools; ARGS="--long")
	@$(BIN)/python -m tests.faults.all --around $(ARGS)

fault-tools: wrk ## Install nginx, faketime, slowhttptest and Redis, which make faults-around needs (Debian and Ubuntu, as root)
	@for tool in nginx faketime slowhttptest redis-server; do \
	  command -v $$tool >/dev/null || [ -x /usr/sbin/$$tool ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$tool; } || exit 1; \
	done

cluster: $(VENV)/dev ## Seven machines by the files of deploy/: what two hosts share, a replica to read from, a host and the primary killed under load (as root; needs make cluster-tools; ARGS="--address hosts")
	@$(BIN)/python -m tests.cluster.run $(ARGS)

roll: $(VENV)/dev ## Upgrade two instances one by one under load, with a migration: none of 50,000 requests may fail (as root; needs make cluster-tools; ARGS="--requests 200000")
	@$(BIN)/python -m tests.cluster.roll $(ARGS)

cluster-tools: ## Install nginx, PgBouncer, PostgreSQL, Redis and iproute2, which make cluster and make roll need (Debian and Ubuntu, as root)
	@for package in nginx pgbouncer postgresql redis-server iproute2; do \
	  dpkg -s $$package >/dev/null 2>&1 || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$package; } || exit 1; \
	done

kill-streams: $(VENV)/dev ## kill -9 of workers with streams open, 20 rounds: nothing lost, nothing left open (a quarter of an hour)
	@$(BIN)/python -m tests.faults.kill_streams $(ARGS)

kill-exchanges: $(VENV)/dev ## kill -9 and SIGTERM of workers with exchanges running: each ends, none is lost (three minutes)
	@$(BIN)/python -m tests.faults.kill_exchanges $(ARGS)

backups: $(VENV)/dev ## Backups while people write, on both engines: each is put back, verifies, and lacks nothing that was answered before (three minutes)
	@$(BIN)/python -m tests.faults.backup $(ARGS)

copy-big: $(VENV)/dev ## flask copy of 10,000 sessions and 200,000 messages from SQLite to PostgreSQL and back: equal, and how long it takes (minutes)
	@$(BIN)/python -m bench.copies $(ARGS)

races: $(VENV)/dev ## What is asked at the same moment has one outcome, on both engines: cap, keys, titles, ends, names, tokens, order (ARGS="--rounds 1000")
	@$(BIN)/python -m tests.faults.races $(ARGS)

race-cleanup: $(VENV)/dev ## Four cleanups at once during 500 sends, cancels and callbacks: every exchange ends exactly once
	@$(BIN)/python -m tests.faults.cleanup_race $(ARGS)

big-stats: $(VENV)/dev ## Statistics against a plain recount over 100,000 sessions, on both engines
	@CHAT_TEST_STATS_SESSIONS=100000 $(BIN)/python -m pytest -q -s tests/core/test_exchange_stats.py -k recount

audit: $(VENV)/dev ## Known weaknesses of the packages (asks a service on the internet) and of the code (bandit)
	@$(BIN)/python -m tools.audit $(ARGS)

sbom: $(VENV)/dev ## All packages and libraries in the service, as a bill of materials (CycloneDX): make -s sbom > chatsvc.cdx.json
	@$(BIN)/python -m tools.sbom

fuzz: $(VENV)/dev ## Ask for everything that the document allows and for much that it does not, on both engines: two minutes (ARGS="--seconds 3600 --spoilt 60000")
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

coverage: $(VENV)/dev ## Which lines and branches no test walks over; fails below what is promised
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal --cov=chatsvc --cov-report= --ignore=tests/bench $(ARGS)
	@$(BIN)/python -m tools.covered

mutants: $(VENV)/dev ## Spoil lines of what guards people's chats, one at a time: does a test fail? (a tenth of them; ARGS="--share 1" all)
	@$(BIN)/python -m tools.mutants $(ARGS)

requirements: $(VENV)/dev ## Compile requirements*.txt anew from requirements*.in
	@for name in requirements requirements-otel requirements-dev bench/requirements; do \
	  if [ $$name = requirements ] || [ $$name = requirements-otel ]; then hashes=--generate-hashes; else hashes=; fi; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links --upgrade $$hashes $$name.in -o $$name.txt || exit 1; \
	done

otel: $(VENV)/run ## Install what OTEL_EXPORTER_OTLP_ENDPOINT needs (docs/observability.md)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-otel.txt

promtool: ## Put Prometheus and its checker promtool into .promtool, for the tests of what is told to it (Debian and Ubuntu)
	@[ -x .promtool/usr/bin/promtool ] || { mkdir -p .promtool && cd .promtool && apt-get download -q prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb; }

observability: $(VENV)/dev promtool ## The service as shipped, scraped by a real Prometheus: metrics, dashboard, alerts; and spans at a real receiver
	@CHAT_TEST_PROMTOOL=1 $(BIN)/python -m pytest -q tests/observing tests/api/test_scrapes.py tests/api/test_request_lines.py tests/core/test_tally.py tests/test_tracing.py $(ARGS)

vendor: $(VENV)/dev ## Fetch the pages' libraries as chatsvc/web/vendored.json lists them (ARGS=--latest takes the newest); needs npm
	@$(BIN)/python -m tools.vendor $(ARGS)

postman: $(VENV)/dev newman ## Run the collections of postman/ with newman against a service as shipped (needs npm; ARGS="--engine sqlite --engine postgresql")
	@$(BIN)/python -m tests.postman.run $(ARGS)

postman-files: $(VENV)/dev ## Write the collections of postman/ anew, after a change of a route
	@$(BIN)/python -m tools.postman

# What the lock names and nothing newer; no package runs a program of its own while it is installed.
newman: tools/newman/node_modules/.package-lock.json
tools/newman/node_modules/.package-lock.json: tools/newman/package.json tools/newman/package-lock.json
	@command -v npm >/dev/null || { echo "newman, which runs the collections, comes by npm, and npm is not here. On Debian and Ubuntu: apt install nodejs npm. Then run make postman again."; exit 1; }
	@echo "Installing newman (once) ..."
	@npm ci --prefix tools/newman --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

browser: ## Install Chromium, which the tests of the page drive (Debian and Ubuntu, as root)
	@command -v chromium >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q chromium fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji; }

wrk: ## Install wrk, which makes the load of make bench and make bench-memory (Debian and Ubuntu, as root)
	@command -v wrk >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q wrk; }

looks: $(VENV)/dev ## Every state of the page, light and dark, wide and narrow, by the rules of accessibility; and how quick it is (needs Chromium)
	@CHAT_TEST_ALL_LOOKS=1 $(BIN)/python -m pytest -q -n 2 tests/web/test_accessible.py tests/web/test_admin.py tests/web/test_details.py tests/web/test_speed.py

pictures: $(VENV)/dev ## Take the pictures of the page that the documents show (needs Chromium)
	@$(BIN)/python -m tests.web.states --documents docs/images

clean: ## Remove the virtual environment and everything made by tools (never instance/)
	rm -rf $(VENV) $(PEER) tools/newman/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "chatsvc needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python has no venv module. On Debian and Ubuntu: apt install python3-venv. On Fedora: dnf install python3. Then run make again."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The stamps make a second start quick: nothing is installed again unless the list has changed.
$(VENV)/run: $(VENV)/bin/python requirements.txt
	@echo "Installing the packages (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.txt
	@echo "Installing the development packages (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(PEER)/ready: bench/requirements.txt
	@echo "Installing the packages of the service to compare with (once) ..."
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@
