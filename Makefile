# The commands of this project. Each is a line; what it does is in scripts/.
# PYTHON is any Python at hand: bootstrap.py finds 3.11 or newer, makes .venv and goes on in it.

PYTHON ?= python3
ARGS ?=

BASE = $(PYTHON) scripts/bootstrap.py base
DEV = $(PYTHON) scripts/bootstrap.py dev

.DEFAULT_GOAL := help
.PHONY: bench chaos chaos-ganeti demo-ganeti docs format fuzz help install lint lock record-messages run screenshots story-ganeti sure test test-ganeti test-openstack

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

docs: ## docs/api: the reference of the APIs, from the code, with examples that were run
	@$(DEV) scripts/reference.py $(ARGS)

install: ## .venv with everything for development, as locked
	@$(DEV)

lock: ## renew requirements/*.txt from setup.py (ARGS=--upgrade for the newest of everything)
	@$(DEV) scripts/lock.py $(ARGS)

bench: ## what is measured, against what, as ratios
	@$(DEV) scripts/bench.py $(ARGS)

chaos: ## a whole cloud under load, killed, cut and poisoned for 10 minutes (ARGS="--seed 7 --seconds 60")
	@$(DEV) scripts/chaos.py $(ARGS)

chaos-ganeti: ## the same on two real Ganeti clusters, whose daemons are killed as well; needs root
	@$(DEV) scripts/chaos.py --ganeti $(ARGS)

screenshots: ## pictures of the dashboard for docs/images (ARGS="--all FOLDER": of every page)
	@$(DEV) scripts/screenshots.py $(ARGS)

fuzz: ## whatever the OpenAPI document allows and forbids, and broken XML, for 15 minutes (ARGS=seconds)
	@$(DEV) scripts/fuzz.py $(ARGS)

test-ganeti: ## the contract suite against a real Ganeti, brought up for it; needs root
	@$(DEV) scripts/test_ganeti.py $(ARGS)

test-openstack: ## the suite of the federation against a real Keystone and Nova, brought up for it
	@$(DEV) scripts/test_openstack.py $(ARGS)

record-messages: ## what the real agents say of a real Ganeti, for the tests; needs root
	@$(DEV) scripts/record_messages.py

story-ganeti: ## the administrator's guide on two real Ganeti clusters, step by step; needs root
	@$(DEV) scripts/story_ganeti.py

demo-ganeti: ## the whole story on a real Ganeti, step by step; needs root
	@$(DEV) scripts/demo_ganeti.py $(ARGS)
