"""CPU time of the decisions on a recording: ``python -m tests.bench.decisions FILE [--runs N]``.

Detection tables are made once, on the CPU. Then people and cameras are decided from them, as when a recording is split.
The time of models and of frames that are decoded again does not count: where it matters, a GPU does that work.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from engines.media.probe import probe
from engines.registry import open_backend
from engines.settings import DeviceSettings
from pipeline.rendering.analyse_stage import AnalyseStage
from pipeline.rendering.build_analysis import build_analysis, open_face_finder
from pipeline.rendering.rebatch import aligned
from pipeline.rendering.stream import StreamJob
from pipeline.segments.segment import SegmentGrid
from pipeline.splitting.frame_reader import FrameReader
from pipeline.splitting.orders import TABLE, DetectPart, TableWritten
from pipeline.splitting.part import plan_parts
from pipeline.splitting.part_worker import PartWorker
from pipeline.splitting.replay import ReplayFinder, TableDecoder
from pipeline.splitting.table import DetectionTable, read_table
from pipeline.telemetry.timing import JobTelemetry
from tests.gpu.bench_gpu import stream_job

BATCH_FRAMES = 4
REACH_S = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_pts = _first_pts(_job(options.file, folder))
        tables = _tables(_job(options.file, folder), start_pts)
        runs = [_decide(_job(options.file, folder), tables, start_pts) for _ in range(options.runs)]
    frames = sum(len(table.frames) for table in tables)
    sys.stdout.write(f"{options.file.name}: {frames} frames, {1000 * median(runs) / frames:.3f} ms of CPU for each\n")


def _job(clip: Path, folder: Path) -> StreamJob:
    return stream_job(clip, folder, probe(clip), open_backend(DeviceSettings(backend="cpu")), JobTelemetry())


def _first_pts(job: StreamJob) -> int:
    with closing(job.open_decoder()) as decoder:
        return next(iter(decoder.batches(None, 1))).frames[0].pts


def _tables(job: StreamJob, start_pts: int) -> list[DetectionTable]:
    finder, segment_s = open_face_finder(job), job.spec.segments.seconds
    compute = job.backend.compute_class.with_inference(finder.engine_name, finder.embedder_name or "no face embedding")
    parts = plan_parts(job.info, start_pts, start_pts, segment_s=segment_s, chunk_s=job.spec.chunk_s, workers=1)
    worker, tables = PartWorker(job, lambda _: None), []
    for part in parts:
        folder = job.spec.paths.parts / str(part.index)
        folder.mkdir(parents=True)
        written = worker.carry_out(DetectPart(part, folder.name, start_pts, compute.to_json(), 1))
        if not isinstance(written, TableWritten):
            raise SystemExit(f"no detection table: {written}")
        tables.append(read_table(folder / TABLE, written.sha256))
    return tables


def _decide(job: StreamJob, tables: Sequence[DetectionTable], start_pts: int) -> float:
    """Decide all rows; return the seconds of CPU."""
    time_base = job.info.video.time_base
    finder, aside = open_face_finder(job), _Aside()
    decoder = TableDecoder(iter(tables), time_base)
    reader = FrameReader(job.open_decoder, int(REACH_S / float(time_base)))
    for owner, names in ((finder, ("embed_chips", "find_close", "region")), (reader, ("frame",))):
        for name in names:
            setattr(owner, name, aside.of(getattr(owner, name)))
    _, analysis = build_analysis(job, ReplayFinder(finder, decoder, reader), start_pts)
    grid = SegmentGrid(start_pts, time_base, job.spec.segments.seconds)
    with closing(reader):
        begin = time.thread_time()
        replayed = job.rate.batches(decoder, start_pts, BATCH_FRAMES)
        for _ in AnalyseStage(job, analysis, grid).run(aligned(replayed, BATCH_FRAMES, grid)):
            pass
        return time.thread_time() - begin - aside.seconds


class _Aside:
    """The CPU time of calls that do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begin = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.thread_time() - begin

        return timed


if __name__ == "__main__":
    main()
