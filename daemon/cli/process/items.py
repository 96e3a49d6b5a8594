"""The files of a `dualface process` command: what is to be done with each."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from daemon.config.settings import Settings
from daemon.errors import DaemonError
from daemon.inbox import sidecar_names
from daemon.inbox.chapter_names import chapter_name
from daemon.jobs import sidecar
from daemon.layout import STATE_DIR
from daemon.share.naming import first_free, names_in, output_names, printable
from daemon.worker import chapter_check
from daemon.worker.protocol import CompareFiles
from engines.errors import EmptyFileError, ExplainedError
from pipeline.corrections import NO_CORRECTIONS, Corrections
from pipeline.job import JobSpec, Progress


class NoSuchFileError(DaemonError):
    code = "NO_FILE"
    remedy = "Check the path."


@dataclass(slots=True)
class Item:
    """One recording of the command, with its progress and its result; ``video`` or ``error`` is set at the end.

    Attributes:
        job: the id of the job; it depends on the files and the settings.
        report: the report of the failure, if one could be written.
    """

    source: Path
    job: str
    spec: JobSpec
    progress: Progress | None = None
    video: Path | None = None
    verdict: str = ""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    error: ExplainedError | None = None
    report: Path | None = None

    @property
    def ended(self) -> bool:
        """Whether the item has a result."""
        return self.video is not None or self.error is not None


def plan(files: list[Path], output: Path, settings: Settings, profile: str, *, debug_overlay: bool) -> list[Item]:
    """Return an item for each recording, one for a file that is named twice. It changes nothing."""
    runs = _runs(files, settings, profile)
    items = (_item(run[0], output, settings, profile, debug_overlay, parts=run[1:]) for run in runs)
    return list({item.job: item for item in items}.values())


def _runs(files: list[Path], settings: Settings, profile: str) -> list[list[Path]]:
    """Group the files into recordings, by the rule of the service."""
    if settings.profiles[profile].join == "never":
        return [[path] for path in files]
    given = {path.absolute(): path for path in files}
    after = {path: next_part for path in given if (next_part := _next_part(path, given, settings))}
    runs = []
    for path in given:
        if path not in after.values():
            run = [path]
            while run[-1] in after:
                run.append(after[run[-1]])
            runs.append([given[part] for part in run])
    return runs


def _next_part(path: Path, given: Collection[Path], settings: Settings) -> Path | None:
    """Return the given file that continues a recording; a file with a sidecar is a recording of its own."""
    name = chapter_name(str(path))
    if name is None:
        return None
    found = (other for other in given if (one := chapter_name(str(other))) and one.follows(name))
    other = next(found, None)
    if other is None or _sidecars(other):
        return None
    order = CompareFiles(path, other, name.certain, settings.workers.limits)
    return other if chapter_check.compare_in_subprocess(order) else None


def planned_outputs(items: list[Item], output: Path) -> Iterator[tuple[Item, Path]]:
    """Yield the items without an error, with the path that their video would get."""
    taken: set[str] = set()
    for item in items:
        if item.error is None:
            names_for = names_in(output, output_names, item.source.name)
            names = (names_for(number)["video"] for number in count(first_free(output, names_for)))
            video = next(name for name in names if name not in taken)
            taken.add(video)
            yield item, output / video


def _item(
    path: Path, output: Path, settings: Settings, profile: str, debug_overlay: bool, *, parts: Sequence[Path] = ()
) -> Item:
    error = _obstacle(path)
    corrections = NO_CORRECTIONS
    try:
        corrections = _corrections(path, settings)
    except ExplainedError as exc:
        error = error or exc
    profile = corrections.profile or profile
    spec = JobSpec(
        job_id="",
        source=path.absolute(),
        input_name=printable(path),
        work_dir=output.absolute(),
        profile=settings.profiles[profile],
        profile_name=profile,
        device=settings.device,
        limits=settings.limits,
        segments=settings.segments,
        degradation=settings.degradation,
        host=socket.gethostname(),
        debug_overlay=debug_overlay,
        corrections=corrections,
        parts=tuple(part.absolute() for part in parts),
        part_names=tuple(map(printable, parts)),
    )
    job = _job_id(spec)
    return Item(path, job, replace(spec, job_id=job, work_dir=output.absolute() / STATE_DIR / job), error=error)


def _corrections(path: Path, settings: Settings) -> Corrections:
    """Read the sidecar beside a file. Here, unlike on a share, it may be a link.

    Raises:
        CorrectionsError: it cannot be used.
        SidecarUnclearError: there are several.
    """
    found = _sidecars(path)
    if len(found) > 1:
        raise sidecar_names.unclear([beside.name for beside in found])
    if not found:
        return NO_CORRECTIONS
    if not found[0].is_file():
        raise sidecar.no_text(f"{found[0].name} is {sidecar_names.fault_of(found[0].lstat().st_mode)}")
    return sidecar.read(found[0].resolve(), settings)


def _sidecars(path: Path) -> list[Path]:
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names, which need not be paths
    except OSError:  # opening the file meets the same error and reports it
        return []
    return [path.with_name(name) for name in sidecar_names.beside(path.name, names)]


def _job_id(spec: JobSpec) -> str:
    """Return an id that depends on the files and settings only, so that a second try finds the checkpoint."""
    what = [os.fsdecode(spec.source), spec.profile_name, spec.profile.model_dump(mode="json"), spec.debug_overlay]
    with suppress(OSError):  # a missing file has its error already
        for path in (spec.source, *spec.parts):
            found = path.stat()
            what += [found.st_size, found.st_mtime_ns]
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _obstacle(path: Path) -> ExplainedError | None:
    if not path.exists():
        return NoSuchFileError(f"There is no file {printable(path)}.")
    if not path.is_file():
        return NoSuchFileError(f"{printable(path)} is not a file.")
    if path.stat().st_size == 0:
        return EmptyFileError(f"{printable(path)} is empty.")
    return None
