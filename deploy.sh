#!/bin/sh
# deploy.sh [--model FILE...] [--firmware] [--board B] [--dry-run] user@host; docs/deployment.md tells all of it.
for python in python3 "$(dirname "$0")/.venv/bin/python"; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
        exec "$python" -B "$(dirname "$0")/tools/deploy/deploy.py" "$@"
    fi
done
echo "deploy.sh: Python 3.8 or newer is needed on this computer" >&2
exit 2
