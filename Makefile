# Each target works on a fresh clone with Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test lint format requirements clean bench-streams kill-streams
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(VENV)/run ## Install, migrate, make the demo accounts, serve on HOST:PORT (127.0.0.1:8000)
	@exec $(BIN)/python -m flask serve

test: $(VENV)/dev ## Run every test, on SQLite and on a real PostgreSQL
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(VENV)/dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/dev ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench-streams: $(VENV)/dev ## A thousand replies at once: gaps, and what a list costs meanwhile (ARGS="--streams 500")
	@$(BIN)/python -m bench.streams $(ARGS)

kill-streams: $(VENV)/dev ## kill -9 of workers with streams open, 20 rounds: nothing lost, nothing left open (a quarter of an hour)
	@$(BIN)/python -m tests.faults.kill_streams $(ARGS)

requirements: $(VENV)/dev ## Compile requirements*.txt anew from requirements*.in
	@for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links --upgrade $$name.in -o $$name.txt || exit 1; \
	done

clean: ## Remove the virtual environment and everything made by tools (never instance/)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "chatsvc needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python has no venv module. On Debian and Ubuntu: apt install python3-venv. On Fedora: dnf install python3. Then run make again."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The stamps make a second start quick: nothing is installed again unless the list has changed.
$(VENV)/run: $(VENV)/bin/python requirements.txt
	@echo "Installing the packages (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.txt
	@echo "Installing the development packages (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
