"""What each level of degradation takes from the work. The output's size and its audio are the same at all of them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.degradation.level_ladder import Level
from pipeline.settings import DegradationSettings

MAX_SURFACE_PIXELS = 3840 * 2160
_DEPTH = 2
_SMALLER = 4  # a batch is cut to one part in so many


@dataclass(frozen=True, slots=True)
class Workload:
    """How much is worked on at once.

    Attributes:
        surface_pixels: most pixels of a working frame; larger ones are scaled down.
        detector_long_side: most of the detector input's longer side; None leaves it to the profile.
        smaller: batches are cut to one part in so many.
        depth: batches that wait between two stages.
        picture_step: every so manieth frame is worked on.
    """

    surface_pixels: int = MAX_SURFACE_PIXELS
    detector_long_side: int | None = None
    smaller: int = 1
    depth: int = _DEPTH
    frame_step: int = 1

    def batch(self, most: int) -> int:
        """Frames that travel together where ``most`` would undisturbed."""
        return max(1, most // self.smaller)

    def long_side(self, wanted: int) -> int:
        """Longer side of the detector's input where the profile wants ``wanted``."""
        return wanted if self.detector_long_side is None else min(wanted, self.detector_long_side)


def workload(level: Level, settings: DegradationSettings) -> Workload:
    """The work at a level; each takes more away than the one above."""
    if level is Level.NORMAL:
        return Workload()
    return Workload(
        surface_pixels=min(MAX_SURFACE_PIXELS, settings.surface_pixels),
        detector_long_side=settings.detector_long_side,
        smaller=_SMALLER,
        depth=1,
        frame_step=1 if level is Level.DOWNSCALE else 2,
    )
