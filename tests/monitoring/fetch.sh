#!/usr/bin/env bash
# fetch.sh DIR: unpacks Debian's (or Ubuntu's) package of Prometheus into DIR, so that DIR/usr/bin has prometheus and promtool.
set -euo pipefail
target="${1:?usage: fetch.sh DIR}"
mkdir -p "$target"
cd "$target"
if ! apt-get download -qq prometheus 2>/dev/null; then
    [[ $EUID -eq 0 ]] && apt-get update -qq
    apt-get download -qq prometheus
fi
dpkg -x prometheus_*.deb .
rm prometheus_*.deb
usr/bin/promtool --version 2>/dev/null | head -n 1
