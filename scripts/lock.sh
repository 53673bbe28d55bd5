#!/bin/sh
# Renew both lock files after pyproject.toml changed (no index address is written into them).
set -eu
cd "$(dirname "$0")/.."
[ -x .uv/bin/uv ] || python3 -m pip install --quiet --target .uv uv
lock() { .uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml "$@"; }
lock -o requirements.lock
lock --group dev -o requirements-dev.lock
