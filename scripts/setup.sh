#!/bin/sh
# Make .venv ready. Usage: scripts/setup.sh run|dev
# uv does it in seconds; where uv cannot be had, plain venv and pip do the same from the same lock file.
set -eu
want=${1:-run}
cd "$(dirname "$0")/.."
case "$want" in run) lock=requirements.lock ;; dev) lock=requirements-dev.lock ;; *) echo "setup: run or dev, not '$want'" >&2; exit 2 ;; esac
mark=.venv/.ready-$want
stamp=$(cat "$lock" pyproject.toml scripts/setup.sh | cksum)
[ -f "$mark" ] && [ "$(cat "$mark")" = "$stamp" ] && exit 0
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: Python 3.11 or later is needed; python3 is $(python3 --version)" >&2; exit 1; }
say() { printf 'setup: %s\n' "$*"; }
if [ ! -x .uv/bin/uv ]; then
  say "fetching uv (the package installer) into .uv"
  python3 -m pip install --quiet --disable-pip-version-check --target .uv uv 2>.uv.log || say "uv is not to be had here; using venv and pip"
  rm -f .uv.log
fi
if [ -x .uv/bin/uv ]; then
  # uv does not read pip.conf: hand it the index configured for pip, if there is one.
  index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
  [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
  [ -x .venv/bin/python ] || { say "creating .venv"; .uv/bin/uv venv --quiet --python "$(command -v python3)" .venv; }
  say "installing the packages of $lock"
  VIRTUAL_ENV=.venv .uv/bin/uv pip install --quiet --require-hashes -r "$lock"
  VIRTUAL_ENV=.venv .uv/bin/uv pip install --quiet --no-deps -e .
else
  [ -x .venv/bin/python ] || { say "creating .venv"; python3 -m venv .venv; }
  say "installing the packages of $lock (a minute or two)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
fi
printf '%s' "$stamp" > "$mark"
say "ready"
