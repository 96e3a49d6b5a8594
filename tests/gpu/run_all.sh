#!/usr/bin/env bash
# All checks on a card, and the benchmark: tests/gpu/run_all.sh [pytest's arguments]
# Logs go to $OUT, or to ./gpu-logs where that is not set. Nothing may be skipped on a card.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
OUT=${OUT:-gpu-logs}
mkdir -p "$OUT"
nvidia-smi --query-gpu=name,driver_version,memory.used,memory.total --format=csv | tee "$OUT/card.csv"
python3 -m pytest -m gpu -p no:cacheprovider --durations=10 tests/contract tests/media tests/gpu "$@" 2>&1 | tee "$OUT/tests.log"
tests=$?
if grep -q "^SKIPPED.*no NVIDIA card" "$OUT/tests.log"; then echo "tests were skipped beside a card" >&2; tests=1; fi
python3 -m tests.gpu.bench_gpu --json "$OUT/bench.json" 2>&1 | tee "$OUT/bench.log"
bench=$?
python3 -m tests.gpu.bench_batching 2>&1 | tee "$OUT/batching.md"
python3 -m engines.inference.commands bench "" 2>"$OUT/engines.log" | tee "$OUT/engines.json"
python3 -m engines.measure cuda 0 2>>"$OUT/engines.log" | tee "$OUT/probe.json"
exit $((tests | bench))
