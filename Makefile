# Two commands: `make up` runs everything, `make test` checks everything. Both set up .venv first.
# Works with GNU make 3.81 (macOS) and later.

.DEFAULT_GOAL := help
.PHONY: release-check help up test test-all lint types pytest test-browser screenshots bench chaos hosts fuzz audit reference docs client hooks lock clean setup setup-test

BIN := .venv/bin
ARGS ?=
# What the sandbox answered in a run of the tests, held against Stripe's schemas at its end.
RECORDS := .pytest_cache/sandbox-records

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

up: setup ## Run it all on this machine (ARGS="--port 8001 --data-dir /tmp/other")
	@exec $(BIN)/tallystick dev $(ARGS)

test: setup-test lint ## Check everything: format, lint, types, imports, tests
	@$(MAKE) --no-print-directory -j 2 types pytest

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

chaos: setup-test ## Real processes while everything goes wrong (ARGS="--seconds=600 --seed=7")
	PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

hosts: setup-test ## Six hosts on a network of their own, one after the other cut off and back (ARGS="--seconds=300")
	PYTHONPATH=tests $(BIN)/python -m hosts $(ARGS)

fuzz: setup-test ## Send the API 10,000 requests that schemathesis makes up, and its parsers whatever Hypothesis does
	TALLYSTICK_LONG=1 $(BIN)/pytest tests/integration/security/test_api_fuzz.py tests/unit/test_outside_bytes.py $(ARGS)

audit: setup ## Look for known weaknesses in what the locks name, and list the licences (needs the network)
	@sh scripts/audit.sh $(ARGS)

reference: setup-test ## Write docs/reference, docs/openapi.json and the client of it from the source
	$(BIN)/python -m reference
	$(GENERATE) --meta none --output-path src/tallystick/client

docs: setup-test reference ## Build the site in build/site; a dead link or any other warning fails
	$(BIN)/python -m sphinx -b html -W --keep-going -n -q docs build/site
	@echo "build/site/index.html"

client: setup-test ## Generate the client for Python: ours, and in dist/client one that needs nothing of ours
	$(GENERATE) --meta none --output-path src/tallystick/client
	$(GENERATE) --meta uv --output-path dist/client

GENERATE = $(BIN)/openapi-python-client generate --overwrite --fail-on-warning --path docs/openapi.json \
	--config clients/python/generator.yaml --custom-template-path clients/python/templates

hooks: setup-test ## Have git check format, lint, types and imports before each commit
	$(BIN)/pre-commit install

lock: setup-test ## Renew the locks from pyproject.toml (ARGS="--upgrade" for newer versions)
	@$(BIN)/python -m pip install --quiet --require-hashes -r scripts/uv.txt
	$(BIN)/uv pip compile $(LOCK) --extra dev --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCK) --extra dev --group bench --group build --group deploy --group docs --group test pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile $(LOCK) --no-annotate --extra alerts --extra tracing -c requirements-dev.lock pyproject.toml -o deploy/requirements.lock
	$(BIN)/uv pip compile $(LOCK) --no-annotate --group build -c requirements-dev.lock -o deploy/requirements-build.lock
	{ echo "# The tool of scripts/audit.sh; \`make lock\` renews it."; echo "pip-audit>=2.10,<3" | \
	  $(BIN)/uv pip compile $(LOCK) --no-annotate -; } > scripts/audit.txt

# For every platform, with hashes, and without any address to download from.
LOCK = --quiet --universal --generate-hashes --no-header --python-version 3.11 $(ARGS)

release-check: setup-test ## Whether this tree can be released: version, changelog, tag, locks, migrations, packages
	@$(BIN)/python scripts/release_check.py $(ARGS)

clean: ## Remove .venv and caches (never the data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench chaos hosts reference -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@sh scripts/bootstrap.sh

setup-test:
	@sh scripts/bootstrap.sh test
