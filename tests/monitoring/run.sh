#!/usr/bin/env bash
# Checks monitoring/ with promtool and with a real Prometheus that scrapes the real service at work.
# Uses the Python of .venv (or $VENV), where ./install.sh test has put everything. Takes Prometheus from the PATH, else from
# Debian's package, which is unpacked into a temporary folder: nothing is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
    tests/monitoring/fetch.sh "$scratch"
    export PATH="$scratch/usr/bin:$PATH"
fi
prometheus --version 2>&1 | head -n 1
"${VENV:-.venv}/bin/python" -m pytest tests/monitoring "$@"
