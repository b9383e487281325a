#!/bin/sh
# What is too long for `make test`: more of the simulations, then the tests on the oldest PostgreSQL we run on.
#
# PG15_BIN=/path/to/bin says where PostgreSQL 15 is. At most an hour on two cores.
set -eu

cd "$(dirname "$0")/.."

find_postgres_15() {
  for folder in "${PG15_BIN:-}" /usr/lib/postgresql/15/bin /opt/homebrew/opt/postgresql@15/bin /usr/pgsql-15/bin; do
    if [ -n "$folder" ] && [ -x "$folder/initdb" ]; then
      echo "$folder"
      return
    fi
  done
  echo "test-all: PostgreSQL 15 was not found. Install it (Debian 12: apt install postgresql-15), or set PG15_BIN." >&2
  exit 1
}

postgres=$(find_postgres_15)

echo "What is long: more simulations, an outage of three days, 100,000 objects imported" >&2
TALLYSTICK_LONG=1 .venv/bin/pytest -n 2 --dist loadfile tests/simulation tests/integration/reconciliation \
  tests/integration/test_invoices_disorder.py tests/integration/subscriptions tests/integration/pages \
  tests/integration/test_backup.py tests/integration/test_packaging.py tests/unit/test_deploy_files.py \
  tests/integration/test_customers.py tests/integration/test_products.py tests/integration/test_setup_intents.py

echo "PostgreSQL 15 ($postgres)" >&2
TALLYSTICK_PG_BIN=$postgres .venv/bin/pytest -n 2 --dist loadfile tests/integration tests/simulation
