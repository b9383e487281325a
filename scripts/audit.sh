#!/bin/sh
# Look up everything that the locks name in PyPI's database of advisories, and list the licences of what is shipped.
#
# Exits with 1 where something is known against a package, and 3 where the database could not be asked.
set -eu

cd "$(dirname "$0")/.."

# pip-audit is no part of the tests' environment: what it needs would be audited as if it were ours.
tools=.venv/audit
if ! [ -x "$tools/bin/pip-audit" ]; then
  .venv/bin/python -m venv "$tools"
  "$tools/bin/pip" install --quiet --require-hashes -r scripts/audit.txt || {
    echo "audit: pip-audit could not be fetched; nothing was looked up." >&2
    exit 3
  }
fi
exec .venv/bin/python scripts/audit.py "$tools/bin/pip-audit" --licences "$@"
