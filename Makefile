# Two commands: `make up` runs everything, `make test` checks everything. Both set up .venv first.
# Works with GNU make 3.81 (macOS) and later.

.DEFAULT_GOAL := help
.PHONY: help up test test-all lint types pytest test-browser screenshots bench lock clean setup setup-test

BIN := .venv/bin
ARGS ?=
# What the sandbox answered in a run of the tests, held against Stripe's schemas at its end.
RECORDS := .pytest_cache/sandbox-records

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

up: setup ## Run it all on this machine (ARGS="--port 8001 --data-dir /tmp/other")
	@exec $(BIN)/tallystick dev $(ARGS)

test: setup-test lint types pytest ## Check everything: format, lint, types, imports, tests

test-all: test ## The same, then the long simulations and PostgreSQL 15 (an hour at most)
	@sh scripts/test-all.sh

lint: setup-test ## Check format, lint and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup-test ## Check types
	$(BIN)/mypy

pytest: setup-test ## Run the tests (ARGS="tests/unit -k money")
	@rm -rf $(RECORDS)
	TALLYSTICK_RECORDS=$(RECORDS) $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)
	TALLYSTICK_RECORDS=$(RECORDS) $(BIN)/pytest tests/test_recorded_shapes.py

test-browser: setup-test ## Run the tests in a browser (ARGS="-k declines"); `make test` does, too
	$(BIN)/pytest tests/browser $(ARGS)

screenshots: setup-test ## Take the pictures of docs/images again
	$(BIN)/pytest tests/browser/screenshots*.py $(ARGS)

bench: setup-test ## Measure (results in bench/)
	$(BIN)/python -m bench $(ARGS)

lock: setup-test ## Renew the locks from pyproject.toml (ARGS="--upgrade" for newer versions)
	@$(BIN)/python -m pip install --quiet --require-hashes -r scripts/uv.txt
	$(BIN)/uv pip compile $(LOCK) --extra dev --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCK) --extra dev --group build --group test pyproject.toml -o requirements-dev.lock

# For every platform, with hashes, and without any address to download from.
LOCK = --quiet --universal --generate-hashes --no-header --python-version 3.11 $(ARGS)

clean: ## Remove .venv and caches (never the data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@sh scripts/bootstrap.sh

setup-test:
	@sh scripts/bootstrap.sh test
