"""The loop of a part worker: orders in, answers out."""

from __future__ import annotations

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
from pipeline.rendering.stream import StreamJob
from pipeline.segments.checkpoint import Checkpoint
from pipeline.splitting.orders import Answer, Order, WorkerLeft
from pipeline.splitting.part_worker import PartWorker
from pipeline.telemetry.timing import JobTelemetry


def serve(spec: JobSpec, orders: Iterable[Order], send: Callable[[Answer], None]) -> None:
    """Carry out the orders of a job's conductor until there are no more.

    The last answer is ``WorkerLeft``, with the reason if the worker cannot go on.

    Args:
        spec: that of the conductor.
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
            with closing(PartWorker(job, send)) as worker:
                for order in orders:
                    send(worker.carry_out(order))
    except ExplainedError as error:
        reason = error.message
    with suppress(OSError):  # the conductor has ended
        send(WorkerLeft(reason))
