"""A job in a process of its own that kills itself with SIGKILL."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import orjson

from pipeline.job import JobSpec
from pipeline.runner import run_job


def killed_while_rerendering(spec: JobSpec) -> int | None:
    """Run the job until it has rendered the first finished segment again; return the exit code of its process."""
    process = multiprocessing.get_context("spawn").Process(target=_run_and_die, args=(spec,))
    process.start()
    process.join()
    return process.exitcode


def plans(spec: JobSpec) -> list[str]:
    """Return the plans of a job's segments once all are finished, else nothing."""
    path = spec.paths.checkpoint
    checkpoint: dict[str, Any] = orjson.loads(path.read_bytes())["body"] if path.exists() else {}
    return [segment["plan"] for segment in checkpoint["segments"]] if checkpoint.get("complete") else []


def _run_and_die(spec: JobSpec) -> None:
    first: list[str] = []

    def should_stop() -> bool:
        now = plans(spec)
        first.extend(now if not first else ())
        if now != first:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    run_job(spec, on_progress=lambda _: None, should_stop=should_stop)
