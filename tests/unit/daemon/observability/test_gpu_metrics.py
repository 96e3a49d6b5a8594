"""The load of GPUs, read from a program that may hang or die."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict

import pytest

from daemon.observability.definitions import DEFINITIONS
from daemon.observability.gpu_metrics import GPUMetrics
from daemon.observability.registry import MetricsRegistry
from engines.nvml import GPULoad
from tests.support.metrics import samples, wait_for


def test_gauges_of_gpus_follow_their_driver_and_vanish_with_it() -> None:
    now = [0.0]
    metrics = MetricsRegistry(DEFINITIONS)
    gpus = GPUMetrics(metrics, lambda: now[0])
    gpus.show([GPULoad(0, "NVIDIA H200", 97.0, 10, 100, 55.0, None)])
    found = samples(metrics)
    assert found["dualface_gpu_utilization_percent", ("0",)] == 97
    assert found["dualface_gpu_info", ("0", "NVIDIA H200")] == 1
    assert not any(name == "dualface_nvenc_utilization_percent" for name, _ in found)
    now[0] = 31
    gpus.expire()
    assert samples(metrics) == samples(MetricsRegistry(DEFINITIONS))


LOAD = GPULoad(0, "NVIDIA H200", 97.0, 10, 100, 55.0, None)
SILENT = f"import time; print({json.dumps(json.dumps([asdict(LOAD)]))}, flush=True); time.sleep(600)"
LAST_WORDS = f"print({json.dumps(json.dumps([asdict(LOAD)]))}); raise SystemExit(3)"


@pytest.mark.parametrize("program", [SILENT, LAST_WORDS, "print('no JSON')", "import engines.nvml as n; n.main()"])
def test_gpus_are_read_from_a_program_that_may_hang_or_die(program: str) -> None:
    metrics = MetricsRegistry(DEFINITIONS)
    gpus = GPUMetrics(metrics, time.monotonic, (sys.executable, "-c", program, "0.1"))
    before = set(threading.enumerate())
    with gpus.running():
        if "print" in program and "JSON" not in program:
            wait_for(lambda: samples(metrics).get(("dualface_nvdec_utilization_percent", ("0",))) == 55)
    wait_for(lambda: set(threading.enumerate()) <= before)
