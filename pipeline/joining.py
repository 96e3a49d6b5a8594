"""Joins the parts of one recording into the source of its job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from engines.files import replacing
from engines.frames import MediaInfo
from engines.media.joining import PartsDifferError, join
from engines.media.probe import probe
from pipeline.errors import DiskFullError
from pipeline.interruption import Interruption
from pipeline.job import JobSpec

_SPARE_BYTES = 64 * 2**20
_MIB = 2**20

log = structlog.get_logger(__name__)


class PartsNotJoinedError(PartsDifferError):
    """The parts of a job cannot be joined; a profile may leave them apart."""

    code = "PARTS_DIFFER"
    remedy = "Drop the parts one after another, each after the one before is taken, or set the profile's join to never."


def join_parts(spec: JobSpec, on_share: Callable[[float], None], interruption: Interruption) -> JobSpec:
    """Return the order with one source, which is joined from the parts if no earlier attempt has done that.

    Args:
        on_share: called now and then with the share of the parts that is written, from 0 to 1.

    Raises:
        DiskFullError: there is no space for a second copy of the parts.
        JobStopped: a stop is requested; what is written so far is dropped.
        PartsNotJoinedError: the parts do not fit together.
        MediaError: a part cannot be read.
    """
    if not spec.parts:
        return spec
    target = spec.paths.joined
    if not target.exists():
        _check_space(spec)
        _write(spec, target, on_share, interruption)
        log.info("parts joined", parts=1 + len(spec.parts), size_bytes=target.stat().st_size)
    return joined(spec)


def joined(spec: JobSpec) -> JobSpec:
    """Return the order with one source, after ``join_parts`` has made it."""
    return replace(spec, source=spec.paths.joined) if spec.parts else spec


def with_warnings_of_parts(info: MediaInfo, spec: JobSpec) -> MediaInfo:
    """Add the warnings about streams of the parts that the joined file no longer has."""
    if not spec.parts:
        return info
    known = {warning.code for warning in info.warnings}
    lost = probe(spec.parts[0], max_pixels=spec.limits.pixels).warnings
    return replace(info, warnings=(*info.warnings, *(warning for warning in lost if warning.code not in known)))


def _check_space(spec: JobSpec) -> None:
    needed = sum(part.stat().st_size for part in (spec.source, *spec.parts)) + _SPARE_BYTES
    free = shutil.disk_usage(spec.work_dir).free
    if free < needed:
        raise DiskFullError(f"{free // _MIB} MiB free, {needed // _MIB} MiB needed to join the parts of the recording.")


def _write(spec: JobSpec, target: Path, on_share: Callable[[float], None], interruption: Interruption) -> None:
    def tick(share: float) -> None:
        interruption.check("while its parts were joined")
        on_share(share)

    try:
        with replacing(target) as file:
            join([spec.source, *spec.parts], file, tick)
    except PartsDifferError as error:
        raise PartsNotJoinedError(error.message) from error
