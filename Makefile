# The commands of this project. Each is a line; what it does is in scripts/.
# PYTHON is any Python at hand: bootstrap.py finds 3.11 or newer, makes .venv and goes on in it.

PYTHON ?= python3
ARGS ?=

BASE = $(PYTHON) scripts/bootstrap.py base
DEV = $(PYTHON) scripts/bootstrap.py dev

.DEFAULT_GOAL := help
.PHONY: bench demo-ganeti format help install lint lock run sure test test-ganeti

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## everything on this machine: simulator, web on port 6543, worker
	@$(BASE) scripts/run.py $(ARGS)

test: ## every check and every test, on PostgreSQL, SQLite and MariaDB
	@$(DEV) scripts/test.py all $(ARGS)

sure: ## every check, and the tests on PostgreSQL only; ARGS go to pytest
	@$(DEV) scripts/test.py sure $(ARGS)

lint: ## ruff, mypy and import-linter
	@$(DEV) scripts/test.py lint

format: ## rewrite the code as ruff formats it
	@$(DEV) scripts/format.py

install: ## .venv with everything for development, as locked
	@$(DEV)

lock: ## renew requirements/*.txt from setup.py (ARGS=--upgrade for the newest of everything)
	@$(DEV) scripts/lock.py $(ARGS)

bench: ## what is measured, against what, as ratios
	@$(DEV) scripts/bench.py $(ARGS)

test-ganeti: ## the contract suite against a real Ganeti, brought up for it; needs root
	@$(DEV) scripts/test_ganeti.py $(ARGS)

demo-ganeti: ## the whole story on a real Ganeti, step by step; needs root
	@$(DEV) scripts/demo_ganeti.py $(ARGS)
