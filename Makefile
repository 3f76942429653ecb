# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
BIN := $(CURDIR)/.venv/bin
PATH := $(BIN):$(PATH)
export PATH
# For pytest, two tests side by side unless something else is wanted: make unit PYTEST_ARGS="-k pebble -x"
PYTEST_ARGS ?= -n 2
# For the benchmark: make bench BENCH_ARGS="--cases 1,100 --tools ours,floor --runs 3"
BENCH_ARGS ?=

.PHONY: help bootstrap demo test test-all test-faults lint unit integration collection sanity lint-ansible galaxy-importer docs bench bench-fleet bench-onbox clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

bootstrap: ## get everything ready: .venv, test CA (again: under a second)
	@scripts/bootstrap.sh

demo: bootstrap ## renew a fleet of emulated firewalls at a real CA, and show what happened
	@PYTHONPATH=tests $(BIN)/python demo/run.py

test: bootstrap ## all checks: lint, then unit and integration tests in one run
	@status=0
	scripts/lint.sh || status=1
	echo "==> tests: unit and integration (skips are listed with their reasons)"
	$(BIN)/pytest tests/unit tests/integration $(PYTEST_ARGS) || status=1
	exit $$status

test-faults: bootstrap ## the long matrices: kills at every stage, every fault at every call (below 20 min)
	@rm -rf build/faults
	$(BIN)/pytest tests/faults $(PYTEST_ARGS)
	PYTHONPATH=tests $(BIN)/python -m lab.ledger
	echo "==> tables: docs/reliability.md"

test-all: bootstrap ## sanity on four versions of ansible-core, all tests on the oldest and newest (above an hour)
	@scripts/matrix.sh

lint: bootstrap ## style, size, types, YAML, licences, shell
	@scripts/lint.sh

unit: bootstrap ## unit tests only
	@$(BIN)/pytest tests/unit $(PYTEST_ARGS)

integration: bootstrap ## integration tests only: real CA, emulated firewalls, ansible-playbook
	@$(BIN)/pytest tests/integration $(PYTEST_ARGS)

collection: bootstrap ## build the tarball (build/dist) and install it (build/collections)
	@PYTHONPATH=tests $(BIN)/python -c 'from pathlib import Path; from lab import collection; print("==> installed below", collection.install(Path("build").resolve()))'
	@ls build/dist/*.tar.gz

sanity: bootstrap ## ansible-test sanity, as Galaxy and Automation Hub run it
	@scripts/ansible-test.sh sanity

lint-ansible: bootstrap ## ansible-lint with the production profile
	@scripts/ansible-lint.sh

galaxy-importer: bootstrap ## the checks that Galaxy makes of an upload
	@scripts/galaxy-importer.sh

docs: bootstrap ## check the documentation, and make its site (build/docs/html)
	@scripts/docs.sh

bench: bootstrap ## how fast certificates are had, by this collection and by others (below 15 min)
	@scripts/bench-peers.sh
	$(BIN)/python bench/run.py $(BENCH_ARGS)

bench-fleet: bootstrap ## what a night costs, for 1 to 1,000 firewalls, and with ordinary modules (about 40 min)
	@scripts/bench-peers.sh
	$(BIN)/python bench/fleet.py $(BENCH_ARGS)

bench-onbox: bootstrap ## the renewal by SSH beside the one by the API (a minute; needs root)
	$(BIN)/python bench/onbox.py $(BENCH_ARGS)

clean: ## remove what was built (.venv and the test CA too)
	rm -rf .venv build .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
