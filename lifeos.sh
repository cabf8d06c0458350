#!/usr/bin/env bash
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
for python in python3.13 python3.12 python3.11 python3 python; do
  if "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    exec "$python" "$root/bootstrap.py" "$@"
  fi
done
echo "lifeos: Python 3.11 or newer is needed, got none on PATH; next: install one from python.org" >&2
exit 2
