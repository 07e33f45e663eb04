# One command for everything; `make` lists them. Each makes and updates its own Python environment in .venv.
# Arguments are passed on: make test ARGS="-k vectors", make demo ARGS="--speed 60".

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
PYTHONS := python3.13 python3.12 python3.11 python3
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint fix check bench clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo ## a whole village on this machine: simulator, broker, database, alerts, pages
	$(BIN)/smartdorf demo $(ARGS)

test: $(VENV)/.dev ## all tests, with a real broker and real databases
	@PATH="$$PATH:/usr/sbin" command -v mosquitto >/dev/null || \
	    { echo "The tests need an MQTT broker: apt-get install mosquitto" >&2; exit 1; }
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(ARGS)

lint: $(VENV)/.dev ## style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev ## put right what can be put right by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

check: lint test ## all that CI demands

bench: $(VENV)/.dev ## throughput and latency on this machine
	$(BIN)/smartdorf bench ingest $(ARGS)

clean: ## remove everything that was made: environment, build results, caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest Python that is new enough and can make environments (Debian keeps that in a package of its own).
$(BIN)/python:
	@for python in $(PYTHONS); do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    found=$$python; \
	    $$python -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
	    exec $$python -m venv --clear $(VENV); \
	done; \
	if [ -n "$$found" ]; \
	then echo "$$found cannot make environments: apt-get install python3-venv" >&2; \
	else echo "smartdorf needs Python 3.11 or newer: apt-get install python3 python3-venv" >&2; \
	fi; exit 1

# Installed again only when pyproject.toml (or Python itself) has changed.
$(VENV)/.demo: pyproject.toml $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(BIN)/python
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.demo
