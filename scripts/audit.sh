#!/bin/sh
# Known vulnerabilities in what is locked: 0 none, 1 some; where the service cannot be reached it
# says so plainly and holds nobody up.
set -u
cd "$(dirname "$0")/.."
log=$(mktemp)
.venv/bin/pip-audit --disable-pip --require-hashes --progress-spinner off --timeout 10 -r requirements.lock >"$log" 2>&1
status=$?
if [ "$status" = 0 ]; then
  echo "audit: no known vulnerability in requirements.lock"
elif grep -qiE "ConnectionError|Max retries|timed out|NameResolution|Failed to establish|ServiceError|HTTPError|Cannot connect|proxy" "$log"; then
  echo "audit: SKIPPED: the vulnerability service cannot be reached from here"
  status=0
else
  cat "$log"
fi
rm -f "$log"
exit "$status"
