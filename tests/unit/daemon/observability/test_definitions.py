"""The definitions of metrics: their names, and the documentation made from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.observability import definitions
from daemon.observability.definitions import DEFINITIONS

ROOT = Path(__file__).parents[4]
PROMISED = {
    "dualface_gpu_utilization_percent", "dualface_vram_used_bytes", "dualface_nvdec_utilization_percent",
    "dualface_nvenc_utilization_percent", "dualface_frame_latency_seconds", "dualface_queue_depth",
    "dualface_jobs_total", "dualface_frames_total", "dualface_degradation_level", "dualface_retries_total",
    "dualface_stage_seconds",
}  # fmt: skip


def test_every_documented_name_exists() -> None:
    assert {metric.name for metric in DEFINITIONS} >= PROMISED


@pytest.mark.parametrize("metric", DEFINITIONS, ids=lambda metric: metric.name)
def test_definitions_follow_the_rules_of_prometheus(metric: definitions.MetricDefinition) -> None:
    assert re.fullmatch(r"dualface(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.bounds) == (metric.kind == "histogram")
    assert metric.bounds == tuple(sorted(metric.bounds))
    assert metric.help.endswith(".")
    assert not {"le", "file", "job", "path"} & set(metric.labels)


def test_the_documentation_is_up_to_date() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert text == definitions.document(), "run: python -m daemon.observability.definitions > docs/metrics.md"
