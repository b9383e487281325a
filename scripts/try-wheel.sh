#!/bin/sh
# As a stranger would: the wheel into an empty environment, `tallystick dev`, a first payment; with the time of each.
#
#   scripts/try-wheel.sh [WHEEL]     without one, it is built from this tree
#
# pip gets the dependencies from its index, so this needs a network or PIP_FIND_LINKS and PIP_NO_INDEX. Everything is in
# a folder that is removed in the end. PYTHON=/path/to/python chooses the interpreter.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
wheel=${1:-}
python=${PYTHON:-python3}
work=$(mktemp -d)
dev=

finish() {
  ended=$?
  if [ "$ended" != 0 ] && [ -s "$work/screen.txt" ]; then tail -n 40 "$work/screen.txt" >&2; fi
  if [ -n "$dev" ]; then
    kill -INT "$dev" 2>/dev/null || true
    wait "$dev" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

now() { date +%s; }
fail() { echo "try-wheel: $*" >&2; exit 1; }
told=$(now)
took() {
  said=$(now)
  printf '%4d s  %s\n' $((said - told)) "$1"
  told=$said
}

if [ -z "$wheel" ]; then
  (cd "$here" && PATH="$here/.venv/bin:$PATH" .venv/bin/python -c 'import sys, uv_build; uv_build.build_wheel(sys.argv[1])' "$work")
  wheel=$(ls "$work"/*.whl)
  took "built $(basename "$wheel")"
fi

began=$(now)
told=$began
cd "$work"
"$python" -m venv env
env/bin/python -m pip install --quiet --quiet --disable-pip-version-check "$wheel[dev]" || fail "pip could not install it"
took "installed into an empty environment"

# Nothing of whoever runs this may take the place of the embedded parts.
for name in $(env | sed -n 's/^\(\(DATABASE\|STRIPE\|SMTP\|JWT\|MAIL\)_[A-Z_]*\|PUBLIC_URL\|INSTALLATION_ID\|PYTHONPATH\)=.*/\1/p'); do
  unset "$name"
done
export TALLYSTICK_DATA_DIR="$work/data"
env/bin/tallystick dev --port 0 --sandbox-port 0 >screen.txt 2>&1 &
dev=$!
tries=0
until [ -s data/dev.json ] && env/bin/python - <<'PYTHON'
import json, sys, urllib.request
try:
    urllib.request.urlopen(json.load(open("data/dev.json"))["api_url"] + "/readyz", timeout=5)
except (OSError, ValueError):
    sys.exit(1)
PYTHON
do
  tries=$((tries + 1))
  kill -0 "$dev" 2>/dev/null || fail "tallystick dev ended"
  [ "$tries" -lt 600 ] || fail "tallystick dev was not ready"
  sleep 0.2
done
took "tallystick dev is ready"

TOKEN=$(env/bin/tallystick token --email ada@example.test) env/bin/python - <<'PYTHON'
import json, os, urllib.request

api = json.load(open("data/dev.json"))["api_url"]

def call(path, body=None):
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(api + path, data, headers), timeout=30) as answer:
        return json.load(answer)

made = call("/api/payments/payment-intent", {"amount": 2500, "currency": "usd", "payment_method": "pm_card_visa"})
paid = call(f"/api/payments/payment-intent/{made['id']}/confirm", {})
assert paid["status"] == "succeeded", paid
assert call("/api/payments/history")["data"][0]["id"] == made["id"]
with urllib.request.urlopen(api + "/assets/tallystick.css", timeout=30) as answer:
    assert answer.status == 200
PYTHON
took "the first payment succeeded"
env/bin/tallystick alerts rules >/dev/null && env/bin/tallystick alerts board >/dev/null
printf '%4d s  in all, from nothing to a payment\n' $(($(now) - began))
