"""The loop of a part worker: orders in, answers out."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress

from engines.errors import ExplainedError
from engines.media.probe import probe
from engines.registry import open_backend
from pipeline.allocator import configure_allocator, keep_in_heap
from pipeline.degradation.controller import Degradation
from pipeline.job import JobSpec
from pipeline.joining import joined
from pipeline.rendering.frame_rate import output_rate
from pipeline.rendering.lookahead import surface_bytes
from pipeline.rendering.stage import quick_switches
from pipeline.rendering.stream import StreamJob
from pipeline.segments.checkpoint import Checkpoint
from pipeline.splitting.orders import Answer, DetectPart, Order, RenderPart, WorkerLeft
from pipeline.splitting.part_worker import PartWorker
from pipeline.telemetry.timing import JobTelemetry


def serve(spec: JobSpec, orders: Iterable[Order], send: Callable[[Answer], None]) -> None:
    """Carry out the orders of a job's conductor until there are no more: those of different kinds side by side.

    The last answer is ``WorkerLeft``, with the reason if the worker cannot go on.

    Args:
        spec: that of the conductor.
        send: any thread may call it.
    """
    configure_allocator()
    reason, spec = "", joined(spec)
    try:
        source = probe(spec.source, max_pixels=spec.limits.pixels)
        rate = output_rate(source, spec.profile)
        keep_in_heap(surface_bytes(rate.info.video))
        checkpoint = Checkpoint("", spec.job_id)  # holds what all segments have in common; it is never saved
        degradation = Degradation(spec.degradation, spec.work_dir, checkpoint, rate.info.video.time_base)
        with closing(open_backend(spec.device, nvenc=spec.nvenc)) as backend:
            job = StreamJob(spec, rate, backend, checkpoint, JobTelemetry(), degradation)
            with closing(PartWorker(job, send)) as worker, quick_switches():
                _work_side_by_side(worker, orders, send)
    except ExplainedError as error:
        reason = error.message
    with suppress(OSError):  # the conductor has ended
        send(WorkerLeft(reason))


def _work_side_by_side(worker: PartWorker, orders: Iterable[Order], send: Callable[[Answer], None]) -> None:
    """Detect in one thread and render in another: the encoder leaves the GPU idle."""
    lanes: dict[type, queue.SimpleQueue[Order | None]] = {
        kind: queue.SimpleQueue() for kind in (DetectPart, RenderPart)
    }

    def work(waiting: queue.SimpleQueue[Order | None]) -> None:
        try:
            while (order := waiting.get()) is not None:
                send(worker.carry_out(order))
        except Exception as error:  # such as no memory
            send(WorkerLeft(f"a part worker failed: {type(error).__name__}"))
            raise

    threads = [threading.Thread(target=work, args=(lane,), name=kind.__name__) for kind, lane in lanes.items()]
    for thread in threads:
        thread.start()
    try:
        for order in orders:
            lanes[type(order)].put(order)
    finally:
        for lane in lanes.values():
            lane.put(None)
        for thread in threads:
            thread.join()
