"""Every metric of the service.

`python -m daemon.observability.definitions > docs/metrics.md` writes the table of them.
"""

from __future__ import annotations

from daemon.observability.registry import OTHER, Meter
from daemon.status.model import LEVELS
from daemon.status.store import STATES
from pipeline.telemetry.counters import PICTURES, SECONDS, SHARES

STATUSES = ("succeeded", "succeeded_degraded", "failed")
ENDS = ("finished", "failed", "stopped", "died", "stalled", "overdue")
STAGES = ("decode", "detect", "track", "compose", "encode")
QUEUES = ("decode", "analyse", "compose")
HOST_STATES = (*STATES, "silent")
NOTICES = ("sent", "failed", "held_back", "dropped")
_CARD = {"gpu": ()}

DEFINITIONS = (
    # -- the service
    Meter("dualface_up", "gauge", "1 while the service runs; 0 is its last word when it stops in order."),
    Meter("dualface_build_info", "gauge", "Always 1; the labels tell versions.", {"version": (), "python": ()}),
    Meter("dualface_start_timestamp_seconds", "gauge", "Unix time at which the service was started."),
    Meter(
        "dualface_heartbeat_timestamp_seconds", "gauge",
        "Unix time at which the service's loop turned last: an old one means that it hangs or has gone.",
    ),
    Meter("dualface_state", "gauge", "1 for the state that the service is in, 0 for the others.", {"state": STATES}),
    Meter("dualface_hosts", "gauge", "Services of the share, by the state that they are in.", {"state": HOST_STATES}),
    # -- the share
    Meter("dualface_share_available", "gauge", "1 while the share answers, 0 while it is away."),
    Meter("dualface_share_free_bytes", "gauge", "Free space on the share; absent while it is away."),
    Meter("dualface_inbox_files", "gauge", "Files in the inboxes: ready to be taken, or still settling.",
          {"state": ("ready", "settling")}),
    # -- jobs
    Meter("dualface_jobs_total", "counter", "Jobs that have ended, by the report's status.", {"status": STATUSES}),
    Meter("dualface_jobs_running", "gauge", "Jobs that a worker is busy with."),
    Meter("dualface_jobs_waiting", "gauge", "Claimed jobs that no worker is busy with."),
    Meter("dualface_job_slots", "gauge", "Jobs that may run side by side."),
    Meter("dualface_attempts_total", "counter", "Workers that were started on a job."),
    Meter("dualface_worker_ends_total", "counter", "Workers that have ended, by how.", {"how": ENDS}),
    Meter("dualface_retries_total", "counter",
          f"Times that a job was put off to be tried again, by the error's code; {OTHER} beyond 64 codes.",
          {"code": ()}),
    Meter("dualface_warnings_total", "counter",
          f"What delivered results lack of their recordings, by the warning's code; {OTHER} beyond 64 codes.",
          {"code": ()}),
    Meter("dualface_failures_in_a_row", "gauge", "Jobs that have failed since the last one that succeeded."),
    Meter("dualface_undecodable_jobs_total", "counter",
          "Jobs whose recording the card does not decode, by codec; device.undecodable says what becomes of them.",
          {"codec": ()}),
    Meter("dualface_video_seconds_total", "counter", "Seconds of video that were delivered."),
    # -- pictures
    Meter("dualface_frames_total", "counter", "Pictures that were rendered, those of jobs that failed later included."),
    Meter("dualface_dropped_frames_total", "counter", "Pictures that were left out under the level frame_skip."),
    Meter("dualface_replaced_frames_total", "counter", "Rendered pictures that stand in for undecodable ones."),
    Meter("dualface_output_bytes_total", "counter", "Bytes of encoded pictures in finished segments."),
    Meter("dualface_frame_latency_seconds", "histogram",
          "Time that all stages together work on one picture; waiting between stages and for files does not count.",
          bounds=SECONDS),
    Meter("dualface_stage_seconds", "histogram", "Time that one stage works on one picture.", {"stage": STAGES},
          SECONDS),
    Meter("dualface_queue_depth", "gauge",
          "Pictures that wait for the next stage now, in the job where most do, by the stage that they come from.",
          {"stage": QUEUES}),
    Meter("dualface_queue_depth_frames", "histogram",
          "The same each time that pictures are added, in all jobs: what a gauge shows between two readings, too.",
          {"stage": QUEUES}, PICTURES),
    Meter("dualface_queue_fill_ratio", "histogram",
          "Share of the places behind a stage that is taken, each time that one is; at 1 it waits for the next stage.",
          {"stage": QUEUES}, SHARES),
    Meter("dualface_degradation_level", "gauge",
          "Deepest level among running jobs: " + ", ".join(f"{n} {name}" for n, name in enumerate(LEVELS)) + "."),
    # -- cards
    Meter("dualface_gpu_info", "gauge", "Always 1; the labels tell the card.", {"gpu": (), "name": ()}),
    Meter("dualface_gpu_utilization_percent", "gauge", "Time in which the card computed.", _CARD),
    Meter("dualface_vram_used_bytes", "gauge", "Memory of the card in use, by whatever program.", _CARD),
    Meter("dualface_vram_total_bytes", "gauge", "Memory of the card.", _CARD),
    Meter("dualface_vram_guard_ratio", "gauge", "Share of a card's memory that jobs may fill (device.vram_guard)."),
    Meter("dualface_nvdec_utilization_percent", "gauge", "Use of the card's video decoders.", _CARD),
    Meter("dualface_nvenc_utilization_percent", "gauge",
          "Use of the card's video encoders; drivers say 0 for cards that have none.", _CARD),
    # -- notifications
    Meter("dualface_notifications_total", "counter", "Notifications, by what became of them.", {"result": NOTICES}),
)  # fmt: skip

_HEAD = """\
# Metrics

Made from the definitions in `daemon/observability/definitions.py` by
`python -m daemon.observability.definitions > docs/metrics.md`; a test fails when they differ.

    metrics: {http: true}                                           # http://127.0.0.1:9477/metrics
    metrics: {textfile: /var/lib/prometheus/node-exporter/dualface.prom}  # for node_exporter's textfile collector

Both are off by default, and both may be on. What is not known at the moment (the free space of a share that is away,
the load of a card whose driver does not answer) is absent, not 0. Counters begin anew when the service does, never when
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
    "pictures a second": "rate(dualface_frames_total[1m])",
    "times real time, as delivered": "rate(dualface_video_seconds_total[1h])",
    "the slowest stage": "topk(1, rate(dualface_stage_seconds_sum[5m]))",
    "share of a card's memory in use": "dualface_vram_used_bytes / dualface_vram_total_bytes",
}  # fmt: skip


def document() -> str:
    """The text of docs/metrics.md."""
    questions = "".join(f"| {question} | `{query}` |\n" for question, query in _QUESTIONS.items())
    return _HEAD + "".join(_row(meter) for meter in DEFINITIONS) + _MIDDLE + questions


def _row(meter: Meter) -> str:
    labels = "; ".join(f"{name}: {', '.join(values)}" if values else name for name, values in meter.labels.items())
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in meter.bounds)}." if meter.bounds else ""
    return f"| `{meter.name}` | {meter.kind} | {labels} | {meter.help}{buckets} |\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
