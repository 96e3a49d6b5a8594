"""Runs the stages from decoder to segment files, each in a thread of its own with a bounded queue behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import closing, contextmanager
from typing import TypeAlias

from engines.containers import source_file as storage
from engines.files import make_folder
from engines.frames import FrameBatch
from pipeline.rendering.analyse_stage import AnalyseStage
from pipeline.rendering.compose_stage import ComposeStage
from pipeline.rendering.encode_stage import EncodeStage
from pipeline.rendering.stage import Stage, quick_switches
from pipeline.rendering.stream import StreamJob
from pipeline.telemetry.counters import StatsCollector
from pipeline.telemetry.timing import JobTelemetry

LookAtAll: TypeAlias = Callable[[Iterable[FrameBatch]], Iterator[FrameBatch]]


def render(
    job: StreamJob,
    decoded: Iterator[FrameBatch],
    analyse: AnalyseStage,
    compose: ComposeStage,
    encode: EncodeStage,
    *,
    look: LookAtAll | None = None,
) -> None:
    """Render all frames that the checkpoint lacks. The last stage runs in the calling thread.

    Args:
        decoded: frames from the checkpoint's next one on.
        look: looks at frames ahead of the analysis and passes them on; None where a stage of its own gains nothing.

    Raises:
        JobStopped, LevelChanged: the checkpoint has all up to the last segment.
        ExplainedError: what a stage raised.
    """
    make_folder(job.spec.paths.segments)
    depth, stats = job.workload.depth, job.telemetry.stats_collector
    with (
        quick_switches(),
        closing(Stage("decode", _timed(decoded, job.telemetry), depth, _counted(stats, "decode", depth))) as batches,
        _looking(look, batches) as looked,
        closing(Stage("analyse", analyse.run(looked), depth, _counted(stats, "analyse", depth))) as chunks,
        closing(Stage("compose", compose.run(chunks), depth, _counted(stats, "compose", depth))) as composed,
    ):
        encode.run(composed)


@contextmanager
def _looking(look: LookAtAll | None, batches: Iterator[FrameBatch]) -> Iterator[Iterator[FrameBatch]]:
    """Run ``look`` in a stage of its own, one batch ahead: its frames are memory of the device."""
    if look is None:
        yield batches
        return
    with closing(Stage("look", look(batches), 1)) as looked:
        yield looked


def _counted(stats: StatsCollector, stage: str, depth: int) -> Callable[[Sized, int], None]:
    """Return the callback of a stage that counts its queue."""
    most_parts = depth + 1  # one more is made and waits for a free place

    def on_change(part: Sized, sign: int) -> None:
        if sign > 0:
            stats.enqueue(stage, len(part), most_parts=most_parts)
        else:
            stats.dequeue(stage, len(part))

    return on_change


def _timed(decoded: Iterator[FrameBatch], telemetry: JobTelemetry) -> Iterator[FrameBatch]:
    """Measure the decoder; a slow disk does not count into the latency of frames."""
    while True:
        begin, read_before_s = time.perf_counter(), storage.waited_s()
        batch = next(decoded, None)
        if batch is None:
            return
        seconds, reading_s = time.perf_counter() - begin, storage.waited_s() - read_before_s
        telemetry.add("decode", seconds, len(batch))
        telemetry.stats_collector.add_frame_time([frame.pts for frame in batch.frames], max(0.0, seconds - reading_s))
        yield batch
