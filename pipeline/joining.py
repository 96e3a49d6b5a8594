"""The parts of one recording become the source of their job, before anything else is done with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from engines.files import replacing
from engines.frames import MediaInfo
from engines.media.joining import join
from engines.media.probe import probe
from pipeline.errors import DiskFullError, JobStopped
from pipeline.job import JobSpec

JOINED = "joined"  # in the work directory, whole or not there
_SPARE_BYTES = 64 * 2**20
_MIB = 2**20

log = structlog.get_logger(__name__)


def joined(spec: JobSpec, on_share: Callable[[float], None], should_stop: Callable[[], bool]) -> JobSpec:
    """The order with one source, which is made of the parts where an earlier attempt has not done that.

    Args:
        on_share: called now and then with the share of the parts that is written.

    Raises:
        DiskFullError: there is no room for a second copy of the parts.
        JobStopped: asked to stop; what is written so far is dropped.
        MediaError: a part cannot be read, or does not fit the others.
    """
    if not spec.parts:
        return spec
    target = spec.work_dir / JOINED
    if not target.exists():
        _check_room(spec)
        _write(spec, target, on_share, should_stop)
        log.info("parts joined", parts=1 + len(spec.parts), size_bytes=target.stat().st_size)
    return replace(spec, source=target)


def with_warnings_of_parts(info: MediaInfo, spec: JobSpec) -> MediaInfo:
    """What is known of the joined file, with the warnings about streams of the parts that it does not have."""
    if not spec.parts:
        return info
    known = {warning.code for warning in info.warnings}
    lost = probe(spec.parts[0], max_pixels=spec.limits.pixels).warnings
    return replace(info, warnings=(*info.warnings, *(warning for warning in lost if warning.code not in known)))


def _check_room(spec: JobSpec) -> None:
    needed = sum(part.stat().st_size for part in (spec.source, *spec.parts)) + _SPARE_BYTES
    free = shutil.disk_usage(spec.work_dir).free
    if free < needed:
        raise DiskFullError(f"{free // _MIB} MiB free, {needed // _MIB} MiB needed to join the parts of the recording.")


def _write(spec: JobSpec, target: Path, on_share: Callable[[float], None], should_stop: Callable[[], bool]) -> None:
    def tick(share: float) -> None:
        if should_stop():
            raise JobStopped("the job was asked to stop while its parts were joined")
        on_share(share)

    with replacing(target) as file:
        join([spec.source, *spec.parts], file, tick)
