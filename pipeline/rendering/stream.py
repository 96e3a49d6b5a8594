"""The state that all stages of one stream share, and their outcome for the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engines.frames import ColorTags, MediaInfo
from engines.media_warnings import MediaWarning
from engines.protocols import Decoder
from engines.registry import Backend
from pipeline.degradation.controller import Degradation
from pipeline.degradation.workload import Workload
from pipeline.full_frame import laid_out
from pipeline.interruption import UNINTERRUPTED, Interruption
from pipeline.job import JobSpec
from pipeline.people import Row
from pipeline.rendering.frame_rate import OutputRate
from pipeline.rendering.hdr import keeps_hdr
from pipeline.rendering.lookahead import largest_surface_pixels
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import SegmentGrid
from pipeline.telemetry.timing import JobTelemetry

OUTPUT_WIDTH, OUTPUT_HEIGHT = 1920, 1080
Layout: TypeAlias = Literal["split", "single"]


def _ignore(*_: object) -> None:
    """The caller does not show progress."""


@dataclass(frozen=True, slots=True)
class StreamJob:
    """The state that all stages of one stream share.

    Attributes:
        on_frames: called after each batch with the number of frames done so far and the time of the last one, seconds.
        on_wait: called several times a second while the job waits for an encoder.
    """

    spec: JobSpec
    rate: OutputRate
    backend: Backend
    checkpoint: Checkpoint
    telemetry: JobTelemetry
    degradation: Degradation
    interruption: Interruption = UNINTERRUPTED
    on_frames: Callable[[int, float], None] = _ignore
    on_wait: Callable[[], None] = _ignore

    @property
    def info(self) -> MediaInfo:
        """The source as if it held exactly the output's frames."""
        return self.rate.info

    @property
    def keeps_hdr(self) -> bool:
        return keeps_hdr(self.spec.profile, self.info.video, self.backend)

    @property
    def workload(self) -> Workload:
        return self.degradation.workload

    def open_decoder(self) -> Decoder:
        lookahead, most = self.spec.profile.lookahead, self.workload.surface_pixels
        pixels = largest_surface_pixels(lookahead, self.info.video, most)
        return self.backend.decoder(
            self.spec.source, self.rate.source, max_surface_pixels=pixels, keep_hdr=self.keeps_hdr
        )

    def segment_grid(self, start_pts: int) -> SegmentGrid:
        """Return the grid of the job's segments; ``start_pts`` is 0 s."""
        return SegmentGrid(start_pts, self.info.video.time_base, self.spec.segments.seconds)

    def shown(self, row: Row) -> Row:
        """Return the row as it is shown, after the user's corrections."""
        video = self.info.video
        return laid_out(self.spec.corrections.apply(row, video.width, video.height))


@dataclass(frozen=True, slots=True)
class StreamOutcome:
    """Facts about the stages for the report.

    Attributes:
        bytes_to_host_per_frame: of this attempt.
        layout: "single" where one person at most is in the whole file, who fills the frame.
    """

    identity: dict[str, Any]
    decoder: str
    inference: str
    compositor: str
    device: str
    color: ColorTags
    notes: tuple[str, ...]
    cpu_fallback: bool
    bytes_to_host_per_frame: int
    warnings: tuple[MediaWarning, ...] = ()
    layout: Layout = "split"
