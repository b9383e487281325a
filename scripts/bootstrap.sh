#!/bin/sh
# Set up .venv from the committed lock, or do nothing when it is up to date.
#
#   scripts/bootstrap.sh        what `tallystick dev` needs
#   scripts/bootstrap.sh test   what the checks and tests need, too: also a Chromium and promtool, where there are none
#
# PYTHON=/path/to/python chooses the interpreter. Needs nothing but Python 3.11 or later.
set -eu

cd "$(dirname "$0")/.."
set_of=${1:-run}
wanted=$set_of
venv=.venv
python=$venv/bin/python

say() { printf '%s\n' "$*" >&2; }
fail() { say "bootstrap: $*"; exit 1; }

# The test set contains the other; once it is there, it stays.
if [ -x "$venv/bin/pytest" ]; then set_of=test; fi
case $set_of in
  run) lock=requirements.lock ;;
  test) lock=requirements-dev.lock ;;
  *) fail "unknown set $set_of (run or test)" ;;
esac

# The browser of the browser tests: CHROMIUM's, the system's, Debian's package where that can be installed, or else
# Playwright's own. It is no part of the stamp, as it lives outside the folder.
ensure_browser() {
  if [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null 2>&1; then return; fi
  if [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ]; then
    say "Installing Chromium for the browser tests ..."
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      chromium fonts-dejavu-core >&2 || fail "chromium could not be installed: apt-get install chromium"
  else
    "$venv/bin/playwright" install chromium >&2 || fail "Playwright could not fetch its Chromium; install chromium"
  fi
}

# promtool, which tests the alerts: out of Debian's package of Prometheus, without the service. Where it cannot be had,
# its test is skipped.
ensure_promtool() {
  if [ -x "$venv/bin/promtool" ] || command -v promtool >/dev/null 2>&1; then return; fi
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then return; fi
  say "Fetching promtool for the tests of the alerts ..."
  fetched=$(mktemp -d)
  (
    cd "$fetched"
    apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }
    dpkg-deb -x prometheus_*.deb .
  ) >/dev/null 2>&1 && cp "$fetched/usr/bin/promtool" "$venv/bin/promtool" ||
    say "promtool could not be fetched; its test will be skipped."
  rm -rf "$fetched"
}

# PgBouncer, behind which a test runs everything: out of Debian's packages, with its libraries, in a folder of the
# virtual environment. Where it cannot be had, its test is skipped.
ensure_pgbouncer() {
  if [ -x "$venv/bin/pgbouncer" ] || command -v pgbouncer >/dev/null 2>&1; then return; fi
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then return; fi
  say "Fetching PgBouncer for its test ..."
  fetched=$(mktemp -d)
  (
    cd "$fetched"
    packages="pgbouncer libc-ares2 libevent-2.1-7"
    apt-get download -qq $packages || { apt-get update -qq && apt-get download -qq $packages; }
    for package in *.deb; do dpkg-deb -x "$package" .; done
  ) >/dev/null 2>&1 && mkdir -p "$venv/lib/pgbouncer" &&
    cp "$fetched"/usr/lib/*/libcares.so.2* "$fetched"/usr/lib/*/libevent-2.1.so.7* \
      "$fetched/usr/sbin/pgbouncer" "$venv/lib/pgbouncer/" &&
    printf '#!/bin/sh\nhere=$(dirname "$0")/../lib/pgbouncer\nLD_LIBRARY_PATH=$here exec "$here/pgbouncer" "$@"\n' \
      >"$venv/bin/pgbouncer" && chmod +x "$venv/bin/pgbouncer" ||
    say "PgBouncer could not be fetched; its test will be skipped."
  rm -rf "$fetched"
}

ensure_tools() {
  if [ "$wanted" = test ]; then
    ensure_browser
    ensure_promtool
    ensure_pgbouncer
  fi
}

# A virtual environment does not survive being moved, so the folder is part of the stamp.
stamp="$set_of $(cat "$lock" pyproject.toml scripts/bootstrap.sh scripts/uv.txt | cksum) $(pwd)"
if [ -x "$python" ] && [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ]; then
  ensure_tools
  exit 0
fi

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or later"
    echo "$PYTHON"
    return
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or later was found. Install one (Debian, Ubuntu: apt install python3 python3-venv;" \
    "Fedora: dnf install python3; macOS: brew install python), or set PYTHON to its path."
}

# Usable: it starts, is new enough, has pip, and was made in this folder.
usable() {
  new_enough "$python" && "$python" -m pip --version >/dev/null 2>&1 &&
    [ "$("$python" -c 'import os, sys; print(os.path.samefile(sys.prefix, ".venv"))' 2>/dev/null)" = True ] &&
    { [ ! -e "$venv/bin/tallystick" ] || grep -q "$(pwd)/$venv" "$venv/bin/tallystick"; }
}

make_venv() {
  base=$(find_python)
  "$base" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    fail "$base cannot make virtual environments. Install its venv package (Debian, Ubuntu: apt install python3-venv)."
  say "Making $venv with $("$base" --version) ..."
  rm -rf "$venv" 2>/dev/null || fail "the old $venv cannot be removed; is it another user's?"
  "$base" -m venv "$venv" || fail "the virtual environment could not be made"
}

# uv knows nothing of pip's settings; where pip was told of another index, uv is told of it too.
tell_uv_of_the_index() {
  if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
  fi
}

by_uv() {
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r scripts/uv.txt || return 1
  tell_uv_of_the_index
  uv="$venv/bin/uv pip"
  $uv sync --quiet --python "$python" --require-hashes --compile-bytecode "$lock" || return 1
  $uv install --quiet --python "$python" --no-deps --no-build-isolation -e . || return 1
}

by_pip() {
  pip="$python -m pip install --quiet --disable-pip-version-check"
  $pip --require-hashes -r "$lock" || return 1
  $pip --no-deps --no-build-isolation -e . || return 1
}

usable || make_venv
# The build backend looks for its program on the PATH.
PATH="$(pwd)/$venv/bin:$PATH"
export PATH
rm -f "$venv/stamp"
say "Installing the locked packages into $venv (once; about a minute on a slow line) ..."
if ! by_uv; then
  say "uv could not do it; trying pip ..."
  by_pip || fail "the packages could not be installed; the reason is above"
fi
"$python" -m compileall -q src/tallystick || true
printf '%s' "$stamp" >"$venv/stamp"
ensure_tools
say "Done."
