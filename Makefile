# Every target sets up what it needs: Python >= 3.11 with pip and venv, make and git are enough.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)/bin/uv)
RUN := $(VENV)/bin
STAMP := $(VENV)/.synced
ARGS ?=
STORMS ?= 1000
BOOK_KILLS ?= 200
ARB_RUNS ?= 1000
# Tests that watch real processes and clocks may starve beside five others: what fails is tried again
# where it ran, twice, and listed as RERUN. RERUNS=0 is strict.
RERUNS ?= 2
# A test that not even its timeout ends takes its process along, and another takes its place.
ENDS := --max-worker-restart=3 -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
# Tests start hundreds of processes: without kept bytecode each compiles whatever it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo up test check format bench bench-kill chaos clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet 'uv>=0.13,<0.14'

$(STAMP): pyproject.toml uv.lock | $(UV)
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --locked --all-extras
	@touch $@

setup: $(STAMP) ## install everything into .venv

demo: $(STAMP) ## run a fleet on simulated venues, with the Temporal UI (ARGS="--markets 5")
	$(RUN)/flotilla demo $(ARGS)

up: $(STAMP) ## embedded Temporal, PostgreSQL and Valkey in the foreground
	$(RUN)/flotilla up $(ARGS)

test: $(STAMP) ## run the tests (fault tests with killed processes: make chaos)
	$(RUN)/pytest -n 6 --dist worksteal --reruns $(RERUNS) -rR $(ENDS) -m 'not chaos' $(ARGS)

chaos: $(STAMP) ## kill real processes, and many more random cases (STORMS=1000 a venue, BOOK_KILLS=200, ARB_RUNS=1000; hours)
	$(RUN)/pytest -m chaos $(ARGS)
	$(RUN)/pytest -n 2 --hypothesis-profile large tests/desk tests/venues/simulation tests/quoting
	FLOTILLA_STORMS=$(STORMS) $(RUN)/pytest -n 4 tests/venues/x10/test_storm.py tests/venues/zo/test_storm.py
	$(RUN)/pytest --hypothesis-profile large tests/infra/postgres/test_books_pure.py tests/infra/postgres/test_books_interleaved.py
	FLOTILLA_BOOK_KILLS=$(BOOK_KILLS) $(RUN)/pytest -m chaos tests/chaos/test_books_kills.py
	FLOTILLA_ARB_RUNS=$(ARB_RUNS) $(RUN)/pytest -m chaos tests/chaos/test_arbitrage_runs.py

check: $(STAMP) ## format, lint, strict types, import contracts
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

format: $(STAMP) ## format and fix what can be fixed
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

bench: $(STAMP) ## measure the hot path (see benchmarks/README.md)
	$(RUN)/python -m benchmarks $(ARGS)

bench-kill: $(STAMP) ## stop a whole fleet, many times (ARGS="--runs 20 --markets 50")
	$(RUN)/python -m benchmarks.kill $(ARGS)

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
