#!/bin/sh
# Debian packages that some tests drive: installed when we may, named plainly when we may not.
set -u
here() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Install "$@"; fails, without a word, where we may not or there is no such package.
install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  echo "test tools: installing $* (Debian packages; used by tests only)"
  # Without a network this must fail soon: the headless Chromium is only the faster one.
  quick="-o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o Acquire::Retries=0"
  [ -s "$log" ] || apt-get $quick update >"$log" 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get $quick install -y --no-install-recommends "$@" >>"$log" 2>&1
}
refused() {
  [ ! -s "$log" ] || tail -3 "$log"
  echo "test tools: $1 is not here and could not be installed: the tests that need it will be SKIPPED"
}
# The headless Chromium costs half as much for each page; the whole browser does as well.
here chromium-headless-shell || install chromium-headless-shell || here chromium || here chromium-browser ||
  install chromium || refused chromium
here mosquitto || install mosquitto || refused mosquitto
exit 0
