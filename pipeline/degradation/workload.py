"""How much work each level of degradation does. Size and audio of the output are the same at all levels."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.degradation.level_ladder import Level
from pipeline.settings import DegradationSettings

MAX_SURFACE_PIXELS = 3840 * 2160
_DEPTH = 2
_BATCH_DIVISOR = 4


@dataclass(frozen=True, slots=True)
class Workload:
    """The limits of the work at one level.

    Attributes:
        surface_pixels: most pixels of a working frame; larger ones are scaled down.
        detector_long_side: longest side of the detector's input in pixels; None: the profile decides.
        batch_divisor: the usual batch size is divided by this.
        depth: batches that wait between two stages.
        frame_step: every ``frame_step``-th frame is processed.
    """

    surface_pixels: int = MAX_SURFACE_PIXELS
    detector_long_side: int | None = None
    batch_divisor: int = 1
    depth: int = _DEPTH
    frame_step: int = 1

    def batch(self, most: int) -> int:
        """Return the batch size at this level; ``most`` is that of undisturbed work."""
        return max(1, most // self.batch_divisor)

    def long_side(self, wanted: int) -> int:
        """Return the longer side of the detector's input in pixels; ``wanted`` is the profile's."""
        return wanted if self.detector_long_side is None else min(wanted, self.detector_long_side)


def workload(level: Level, settings: DegradationSettings) -> Workload:
    """Return the work at a level; each does less than the one above."""
    if level is Level.NORMAL:
        return Workload()
    return Workload(
        surface_pixels=min(MAX_SURFACE_PIXELS, settings.surface_pixels),
        detector_long_side=settings.detector_long_side,
        batch_divisor=_BATCH_DIVISOR,
        depth=1,
        frame_step=1 if level is Level.DOWNSCALE else 2,
    )
