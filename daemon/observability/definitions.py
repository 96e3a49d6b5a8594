"""The definitions of all metrics.

`python -m daemon.observability.definitions > docs/metrics.md` writes the table of them.
"""

from __future__ import annotations

from daemon.observability.registry import OTHER, MetricDefinition
from daemon.status.model import HOST_STATES, ServiceState
from pipeline.degradation.level_ladder import LADDER
from pipeline.report.model import STATUSES
from pipeline.telemetry.counters import FRAMES, SECONDS, SHARES, STAGES

ENDS = ("finished", "failed", "stopped", "died", "stalled", "overdue")
QUEUES = ("decode", "analyse", "compose")
NODE_STATES = ("ready", "other_share", "other_root")
NOTIFICATION_RESULTS = ("sent", "failed", "held_back", "dropped")
_GPU = {"gpu": ()}

DEFINITIONS = (
    # -- the service
    MetricDefinition("dualface_up", "gauge", "1 while the service runs; 0 after it has stopped in order."),
    MetricDefinition(
        "dualface_build_info", "gauge", "Always 1; the labels are the versions.", {"version": (), "python": ()}
    ),
    MetricDefinition("dualface_start_timestamp_seconds", "gauge", "Unix time at which the service was started."),
    MetricDefinition(
        "dualface_heartbeat_timestamp_seconds",
        "gauge",
        "Unix time of the last turn of the service's loop; if it is old, the service hangs or has died.",
    ),
    MetricDefinition(
        "dualface_state",
        "gauge",
        "1 for the present state of the service, 0 for the others.",
        {"state": tuple(ServiceState)},
    ),
    MetricDefinition("dualface_hosts", "gauge", "Services of the share by state.", {"state": HOST_STATES}),
    MetricDefinition(
        "dualface_cluster_nodes", "gauge", "Hosts of the cluster by state; absent without one.", {"state": NODE_STATES}
    ),
    MetricDefinition("dualface_node_slots", "gauge", "Workers that may run on a node of the cluster.", {"node": ()}),
    MetricDefinition("dualface_node_workers", "gauge", "Workers that run on a node now.", {"node": ()}),
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
    MetricDefinition("dualface_jobs_total", "counter", "Ended jobs by the report's status.", {"status": STATUSES}),
    MetricDefinition("dualface_jobs_running", "gauge", "Jobs with a worker."),
    MetricDefinition("dualface_jobs_waiting", "gauge", "Claimed jobs without a worker."),
    MetricDefinition("dualface_job_slots", "gauge", "Jobs that may run at the same time."),
    MetricDefinition("dualface_attempts_total", "counter", "Workers started on a job."),
    MetricDefinition(
        "dualface_worker_ends_total", "counter", "Ended workers by the way in which they ended.", {"how": ENDS}
    ),
    MetricDefinition(
        "dualface_retries_total",
        "counter",
        f"Failed attempts that are repeated later, by the error's code; {OTHER} beyond 64 codes.",
        {"code": ()},
    ),
    MetricDefinition(
        "dualface_warnings_total",
        "counter",
        f"Warnings of delivered results about what they lack, by the warning's code; {OTHER} beyond 64 codes.",
        {"code": ()},
    ),
    MetricDefinition("dualface_failures_in_a_row", "gauge", "Jobs that have failed since the last success."),
    MetricDefinition(
        "dualface_undecodable_jobs_total",
        "counter",
        "Jobs whose recording the GPU cannot decode, by codec; see device.undecodable.",
        {"codec": ()},
    ),
    MetricDefinition("dualface_video_seconds_total", "counter", "Seconds of delivered video."),
    # -- frames
    MetricDefinition("dualface_frames_total", "counter", "Rendered frames, including those of jobs that failed later."),
    MetricDefinition("dualface_dropped_frames_total", "counter", "Frames left out at the level frame_skip."),
    MetricDefinition("dualface_replaced_frames_total", "counter", "Rendered frames that replace undecodable ones."),
    MetricDefinition("dualface_output_bytes_total", "counter", "Bytes of encoded frames in finished segments."),
    MetricDefinition(
        "dualface_frame_latency_seconds",
        "histogram",
        "Working time of all stages together on one frame, without the waits between stages and for files.",
        bounds=SECONDS,
    ),
    MetricDefinition(
        "dualface_stage_seconds",
        "histogram",
        "Working time of one stage on one frame.",
        {"stage": STAGES},
        SECONDS,
    ),
    MetricDefinition(
        "dualface_queue_depth",
        "gauge",
        "Frames that wait for the next stage now, by the stage that they come from; of all jobs, the greatest number.",
        {"stage": QUEUES},
    ),
    MetricDefinition(
        "dualface_queue_depth_frames",
        "histogram",
        "The same at each arrival of frames, over all jobs; so it includes peaks between two readings of the gauge.",
        {"stage": QUEUES},
        FRAMES,
    ),
    MetricDefinition(
        "dualface_queue_fill_ratio",
        "histogram",
        "Used share of the queue behind a stage, at each arrival of frames; at 1 the stage waits for the next one.",
        {"stage": QUEUES},
        SHARES,
    ),
    MetricDefinition(
        "dualface_degradation_level",
        "gauge",
        "Greatest degradation level of the running jobs: "
        + ", ".join(f"{n} {name}" for n, name in enumerate(LADDER))
        + ".",
    ),
    # -- GPUs
    MetricDefinition("dualface_gpu_info", "gauge", "Always 1; the labels name the GPU.", {"gpu": (), "name": ()}),
    MetricDefinition("dualface_gpu_utilization_percent", "gauge", "Share of time in which the GPU computed.", _GPU),
    MetricDefinition("dualface_vram_used_bytes", "gauge", "Used memory of the GPU, by all programs.", _GPU),
    MetricDefinition("dualface_vram_total_bytes", "gauge", "Total memory of the GPU.", _GPU),
    MetricDefinition(
        "dualface_vram_guard_ratio", "gauge", "Share of a GPU's memory that jobs may use (device.vram_guard)."
    ),
    MetricDefinition("dualface_nvdec_utilization_percent", "gauge", "Use of the GPU's video decoders.", _GPU),
    MetricDefinition(
        "dualface_nvenc_utilization_percent",
        "gauge",
        "Use of the GPU's video encoders; 0 for GPUs without encoders.",
        _GPU,
    ),
    # -- notifications
    MetricDefinition(
        "dualface_notifications_total", "counter", "Notifications by result.", {"result": NOTIFICATION_RESULTS}
    ),
)

_HEAD = """\
# Metrics

Generated by `python -m daemon.observability.definitions > docs/metrics.md`; a test compares both.

    metrics: {http: true}                                           # http://127.0.0.1:9477/metrics
    metrics: {textfile: /var/lib/prometheus/node-exporter/dualface.prom}  # for node_exporter's textfile collector

Both are off by default, and both may be on. An unknown value (the free space of a share that is away, the load of a
GPU whose driver does not answer) is absent, not 0. Counters restart with the service. They do not restart when a worker
dies; only the counts of its last second are lost. No label contains the name of a file or a job.

Under systemd, the unit forbids the service to listen, and to write outside of the share. The drop-in
`systemd/dualface-metrics.conf` permits HTTP, and `systemd/dualface-textfile.conf` permits the file; each explains
further steps. Install one as `/etc/systemd/system/dualface.service.d/dualface-metrics.conf`, then run
`systemctl daemon-reload` and restart the service.

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
    """Return the text of docs/metrics.md."""
    questions = "".join(f"| {question} | `{query}` |\n" for question, query in _QUESTIONS.items())
    return _HEAD + "".join(_row(metric) for metric in DEFINITIONS) + _MIDDLE + questions


def _row(metric: MetricDefinition) -> str:
    labels = "; ".join(f"{name}: {', '.join(values)}" if values else name for name, values in metric.labels.items())
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in metric.bounds)}." if metric.bounds else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help}{buckets} |\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
