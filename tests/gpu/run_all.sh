#!/usr/bin/env bash
# All checks on a GPU, and the measurements, in one call of at most LIMIT_S (530) seconds: tests/gpu/run_all.sh [PART...]
# Parts, in this order unless named: service contract gpu soak batching bench engines probe; and pair, for two GPUs.
# Logs go to $OUT, or to ./gpu-logs where that is not set; summary.log has one line for each part.
# Nothing may be skipped for want of a GPU.
# shellcheck disable=SC2317  # parts are called by their names
set -uo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.." || exit
export OUT=${OUT:-$PWD/gpu-logs} PYTHONUNBUFFERED=1
LIMIT_S=${LIMIT_S:-530}
mkdir -p "$OUT"
failed=0

tests() {   # PATHS AND ARGUMENTS...
    python3 -m pytest -m gpu -p no:cacheprovider --durations=8 "$@" | tee /dev/fd/2 |
        { ! grep "^SKIPPED.*no NVIDIA GPU" >/dev/null; }
}

beside() {   # several processes, where pytest can
    python3 -c 'import xdist' 2>/dev/null && echo "-n5"
}

service() { tests -s tests/gpu/test_service.py; }
# shellcheck disable=SC2046  # nothing, or one word
contract() { tests $(beside) tests/contract tests/media; }
gpu() { tests -s tests/gpu --ignore=tests/gpu/test_{service,soak,two_gpus}.py; }
soak() { tests -s tests/gpu/test_soak.py; }
pair() { tests -s tests/gpu/test_two_gpus.py; }
batching() { python3 -m tests.gpu.bench_batching; }
bench() { python3 -m tests.gpu.bench_gpu --json "$OUT/bench.json" | grep -v "takes the place"; }
engines() { python3 -m engines.inference.commands bench ""; }
probe() { python3 -m engines.measure cuda 0; }

said() { echo "$*" | tee -a "$OUT/summary.log"; }

part() {   # NAME
    local begin=$SECONDS left=$((LIMIT_S - SECONDS)) status
    if [[ $left -lt 10 ]]; then
        said "$1: no time left"
        failed=1
        return
    fi
    timeout --kill-after=5 "$left" "$self" --only "$1" >>"$OUT/$1.log" 2>&1
    status=$?
    [[ $status -eq 0 ]] || failed=1
    said "$1: status $status, $((SECONDS - begin)) s; $(grep -v '^$' "$OUT/$1.log" | tail -n 1 | cut -c1-300)"
}

if [[ ${1:-} == --only ]]; then
    "$2"
    exit
fi
said "$(nvidia-smi --query-gpu=name,driver_version,memory.used,memory.total --format=csv,noheader 2>&1)"
[[ $# -gt 0 ]] || set -- service contract gpu soak batching bench engines probe
for name in "$@"; do part "$name"; done
exit $failed
