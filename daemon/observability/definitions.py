"""Every metric of the service.

`python -m daemon.observability.definitions > docs/metrics.md` writes the table of them.
"""

from __future__ import annotations

from daemon.observability.registry import OTHER, MetricDefinition
from daemon.status.model import LEVELS
from daemon.status.store import STATES
from pipeline.telemetry.counters import FRAMES, SECONDS, SHARES, STAGES

STATUSES = ("succeeded", "succeeded_degraded", "failed")
ENDS = ("finished", "failed", "stopped", "died", "stalled", "overdue")
QUEUES = ("decode", "analyse", "compose")
HOST_STATES = (*STATES, "silent")
NOTICES = ("sent", "failed", "held_back", "dropped")
_GPU = {"gpu": ()}

DEFINITIONS = (
    # -- the service
    MetricDefinition("dualface_up", "gauge", "1 while the service runs; 0 is its last word when it stops in order."),
    MetricDefinition(
        "dualface_build_info", "gauge", "Always 1; the labels tell versions.", {"version": (), "python": ()}
    ),
    MetricDefinition("dualface_start_timestamp_seconds", "gauge", "Unix time at which the service was started."),
    MetricDefinition(
        "dualface_heartbeat_timestamp_seconds",
        "gauge",
        "Unix time at which the service's loop turned last: an old one means that it hangs or has gone.",
    ),
    MetricDefinition(
        "dualface_state", "gauge", "1 for the state that the service is in, 0 for the others.", {"state": STATES}
    ),
    MetricDefinition(
        "dualface_hosts", "gauge", "Services of the share, by the state that they are in.", {"state": HOST_STATES}
    ),
    # -- the share
    MetricDefinition("dualface_share_available", "gauge", "1 while the share answers, 0 while it is away."),
    MetricDefinition("dualface_share_free_bytes", "gauge", "Free space on the share; absent while it is away."),
    MetricDefinition(
        "dualface_inbox_files",
        "gauge",
        "Files in the inboxes: ready to be taken, or still settling.",
        {"state": ("ready", "settling")},
    ),
    # -- jobs
    MetricDefinition(
        "dualface_jobs_total", "counter", "Jobs that have ended, by the report's status.", {"status": STATUSES}
    ),
    MetricDefinition("dualface_jobs_running", "gauge", "Jobs that a worker is busy with."),
    MetricDefinition("dualface_jobs_waiting", "gauge", "Claimed jobs that no worker is busy with."),
    MetricDefinition("dualface_job_slots", "gauge", "Jobs that may run side by side."),
    MetricDefinition("dualface_attempts_total", "counter", "Workers that were started on a job."),
    MetricDefinition("dualface_worker_ends_total", "counter", "Workers that have ended, by how.", {"how": ENDS}),
    MetricDefinition(
        "dualface_retries_total",
        "counter",
        f"Times that a job was put off to be tried again, by the error's code; {OTHER} beyond 64 codes.",
        {"code": ()},
    ),
    MetricDefinition(
        "dualface_warnings_total",
        "counter",
        f"What delivered results lack of their recordings, by the warning's code; {OTHER} beyond 64 codes.",
        {"code": ()},
    ),
    MetricDefinition("dualface_failures_in_a_row", "gauge", "Jobs that have failed since the last one that succeeded."),
    MetricDefinition(
        "dualface_undecodable_jobs_total",
        "counter",
        "Jobs whose recording the GPU does not decode, by codec; device.undecodable says what becomes of them.",
        {"codec": ()},
    ),
    MetricDefinition("dualface_video_seconds_total", "counter", "Seconds of video that were delivered."),
    # -- frames
    MetricDefinition(
        "dualface_frames_total", "counter", "Frames that were rendered, those of jobs that failed later included."
    ),
    MetricDefinition(
        "dualface_dropped_frames_total", "counter", "Frames that were left out under the level frame_skip."
    ),
    MetricDefinition(
        "dualface_replaced_frames_total", "counter", "Rendered frames that stand in for undecodable ones."
    ),
    MetricDefinition("dualface_output_bytes_total", "counter", "Bytes of encoded frames in finished segments."),
    MetricDefinition(
        "dualface_frame_latency_seconds",
        "histogram",
        "Time that all stages together work on one frame; waiting between stages and for files does not count.",
        bounds=SECONDS,
    ),
    MetricDefinition(
        "dualface_stage_seconds", "histogram", "Time that one stage works on one frame.", {"stage": STAGES}, SECONDS
    ),
    MetricDefinition(
        "dualface_queue_depth",
        "gauge",
        "Frames that wait for the next stage now, in the job where most do, by the stage that they come from.",
        {"stage": QUEUES},
    ),
    MetricDefinition(
        "dualface_queue_depth_frames",
        "histogram",
        "The same each time that frames are added, in all jobs: what a gauge shows between two readings, too.",
        {"stage": QUEUES},
        FRAMES,
    ),
    MetricDefinition(
        "dualface_queue_fill_ratio",
        "histogram",
        "Share of the places behind a stage that is taken, each time that one is; at 1 it waits for the next stage.",
        {"stage": QUEUES},
        SHARES,
    ),
    MetricDefinition(
        "dualface_degradation_level",
        "gauge",
        "Deepest level among running jobs: " + ", ".join(f"{n} {name}" for n, name in enumerate(LEVELS)) + ".",
    ),
    # -- GPUs
    MetricDefinition("dualface_gpu_info", "gauge", "Always 1; the labels tell the GPU.", {"gpu": (), "name": ()}),
    MetricDefinition("dualface_gpu_utilization_percent", "gauge", "Time in which the GPU computed.", _GPU),
    MetricDefinition("dualface_vram_used_bytes", "gauge", "Memory of the GPU in use, by whatever program.", _GPU),
    MetricDefinition("dualface_vram_total_bytes", "gauge", "Memory of the GPU.", _GPU),
    MetricDefinition(
        "dualface_vram_guard_ratio", "gauge", "Share of a GPU's memory that jobs may fill (device.vram_guard)."
    ),
    MetricDefinition("dualface_nvdec_utilization_percent", "gauge", "Use of the GPU's video decoders.", _GPU),
    MetricDefinition(
        "dualface_nvenc_utilization_percent",
        "gauge",
        "Use of the GPU's video encoders; drivers say 0 for GPUs that have none.",
        _GPU,
    ),
    # -- notifications
    MetricDefinition(
        "dualface_notifications_total", "counter", "Notifications, by what became of them.", {"result": NOTICES}
    ),
)

_HEAD = """\
# Metrics

Made from the definitions in `daemon/observability/definitions.py` by
`python -m daemon.observability.definitions > docs/metrics.md`; a test fails when they differ.

    metrics: {http: true}                                           # http://127.0.0.1:9477/metrics
    metrics: {textfile: /var/lib/prometheus/node-exporter/dualface.prom}  # for node_exporter's textfile collector

Both are off by default, and both may be on. What is not known at the moment (the free space of a share that is away,
the load of a GPU whose driver does not answer) is absent, not 0. Counters begin anew when the service does, never when
a worker dies: what it had counted in its last second is then lost, nothing else. No label names a file or job.

Under systemd the unit lets the service neither listen nor write outside of the share. `systemd/dualface-metrics.conf`
opens what HTTP needs, `systemd/dualface-textfile.conf` what the file needs; each says how to go further. Install one as
`/etc/systemd/system/dualface.service.d/dualface-metrics.conf`, then `systemctl daemon-reload` and restart the service.

| metric | kind | labels | meaning |
|---|---|---|---|
"""

_MIDDLE = """
## Questions and their queries

| question | PromQL |
|---|---|
"""

_QUESTIONS = {
    "95th percentile of frame latency":
        "histogram_quantile(0.95, sum by (le) (rate(dualface_frame_latency_seconds_bucket[5m])))",
    "99th percentile of queue depth":
        "histogram_quantile(0.99, sum by (stage, le) (rate(dualface_queue_depth_frames_bucket[5m])))",
    "the same from readings alone": "quantile_over_time(0.99, dualface_queue_depth[5m])",
    "how full the queue behind each stage is: the stage after the one at 1 is the bottleneck":
        "sum by (stage) (rate(dualface_queue_fill_ratio_sum[10m]))"
        " / sum by (stage) (rate(dualface_queue_fill_ratio_count[10m]))",
    "drop rate": "rate(dualface_dropped_frames_total[5m]) / rate(dualface_frames_total[5m])",
    "retry rate": "sum(rate(dualface_retries_total[1h])) / sum(rate(dualface_attempts_total[1h]))",
    "frames a second": "rate(dualface_frames_total[1m])",
    "times real time, as delivered": "rate(dualface_video_seconds_total[1h])",
    "the slowest stage": "topk(1, rate(dualface_stage_seconds_sum[5m]))",
    "share of a GPU's memory in use": "dualface_vram_used_bytes / dualface_vram_total_bytes",
}  # fmt: skip


def document() -> str:
    """The text of docs/metrics.md."""
    questions = "".join(f"| {question} | `{query}` |\n" for question, query in _QUESTIONS.items())
    return _HEAD + "".join(_row(meter) for meter in DEFINITIONS) + _MIDDLE + questions


def _row(meter: MetricDefinition) -> str:
    labels = "; ".join(f"{name}: {', '.join(values)}" if values else name for name, values in meter.labels.items())
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in meter.bounds)}." if meter.bounds else ""
    return f"| `{meter.name}` | {meter.kind} | {labels} | {meter.help}{buckets} |\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
