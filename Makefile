# Two commands matter: `make run` and `make test`. Both make the environment first.
# Settings come from the environment or the command line: `make run PORT=8123`.

.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin

# Test workers: the tests wait for servers, disks and browsers as much as for the processor, so there
# are more of them than processors. Whoever has nothing left to do takes tests from those who have.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$(( n < 2 ? 3 : n > 4 ? 8 : n * 2 )))
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal

# A suite starts more than a hundred processes; each would compile all packages anew, for 2 s, where
# the environment forbids them to keep what they have compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup tools run test check pytest lint format types imports test-cluster test-deploy coverage mutants rehearse \
	migrate bench bench-full screenshots translations lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with what running needs (the other targets do this, and the rest, by themselves)
	@scripts/setup.sh

tools:
	@scripts/setup.sh dev

run: setup ## Run the whole service on this machine (PORT=8123 and other settings may follow)
	@exec $(BIN)/concert up

test: ## Lint, types, import contract and all tests, on real servers started for them
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory check pytest

check: lint types imports

lint: tools ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: tools ## Put the code into the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: tools ## Check the types
	$(BIN)/mypy

imports: tools ## Check that imports go down only
	$(BIN)/lint-imports --no-logo

pytest: tools ## Run the tests alone (ARGS="tests/local -k crash" chooses)
	$(PYTEST) $(ARGS)

test-cluster: tools ## Run the waiting room's whole suite on three Redis servers, and a rehearsal on a whole cluster
	CONCERT_TEST_CLUSTER=1 $(PYTEST) tests/waiting_room $(ARGS)
	$(BIN)/pytest tests/scale/rehearse_on_a_cluster.py

test-deploy: ## Judge the templates for a cloud, the manifests and the workflows, in an environment of their own
	@scripts/setup.sh deploy
	.venv-deploy/bin/pytest -c tests/cloud/pytest.ini --rootdir . --confcutdir tests/cloud -p no:cacheprovider tests/cloud $(ARGS)

coverage: ## Run the tests, write the coverage report to htmlcov/, and fail below the gate
	@scripts/setup.sh test
	$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-report=html --cov-report=xml

mutants: ## Break each rule of tests/mutants/rules.toml in a copy and see its tests fail (ONLY=join chooses)
	@scripts/setup.sh test
	@$(BIN)/python -m tests.mutants --only "$(ONLY)"

rehearse: tools ## Play a whole sale with many fans and judge every promise (ARGS="--fans 5000")
	@exec $(BIN)/concert rehearse $(ARGS)

migrate: setup ## Bring the database to the newest migration
	@exec $(BIN)/concert migrate

bench: ## Measure the hot paths, quickly
	@scripts/setup.sh bench
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.report

bench-full: ## Measure the hot paths, thoroughly
	@scripts/setup.sh bench
	$(BIN)/python -m benchmarks --full
	$(BIN)/python -m benchmarks.report

screenshots: ## Take pictures of every page
	@scripts/setup.sh test
	$(BIN)/python -m scripts.screenshots

translations: tools ## Find the words of the pages, bring the Korean catalogue up to date, compile it
	@scripts/translations.sh

lock: tools ## Resolve the packages anew and write the lock files
	@scripts/lock.sh

clean: ## Remove the environment and everything that tools wrote (the data in .concert stays)
	rm -rf .venv .venv-deploy *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
		.coverage .coverage.* coverage.xml htmlcov test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
