#!/bin/sh
# Debian packages that some tests drive: installed when we may, named plainly when we may not.
set -u
need=""
command -v chromium >/dev/null 2>&1 || need="$need chromium"
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || need="$need mosquitto"
[ -z "$need" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "test tools: installing$need (Debian packages; used by tests only)"
  log=$(mktemp)
  if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $need; } >"$log" 2>&1; then rm -f "$log"; exit 0; fi
  tail -3 "$log"; rm -f "$log"
fi
for tool in $need; do echo "test tools: $tool is not here and could not be installed: the tests that need it will be SKIPPED"; done
exit 0
