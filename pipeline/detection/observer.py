"""What single frames show: cuts, faces and panels. Who the faces are is decided later, from the observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Rect, Size
from pipeline.canvas import Placement
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.detection.finder import BatchFinder
from pipeline.detection.shot_detector import ShotDetector
from pipeline.panels.panel_detector import PanelDetector, luma_size
from pipeline.people import Observation, size_from_json

THUMBNAIL_SIZE = (64, 36)
Luma: TypeAlias = Callable[[], NDArray[np.uint8]]  # waits for a frame's luma, shape (height, width)


class Observer:
    """Looks at consecutive frames.

    Args:
        start_pts: pts that is 0 s.
        canvas: displayed size of frames that do not have their own.
        begins_midway: the first frame is one in the middle; what an observer of all frames might ask is asked.
    """

    def __init__(
        self,
        finder: BatchFinder,
        schedule: DetectionSchedule,
        *,
        start_pts: int,
        seconds_per_tick: float,
        canvas: Size,
        begins_midway: bool = False,
    ) -> None:
        self._finder = finder
        self._schedule = schedule
        self._shot_detector = ShotDetector()
        self._panels = PanelDetector(dense=begins_midway)
        self._start_pts = start_pts
        self._seconds_per_tick = seconds_per_tick
        self._canvas = canvas
        self._display: Size | None = None  # of the latest frame

    def observe(self, frames: Sequence[Frame]) -> list[Observation]:
        """Look at the next frames. One of another displayed size than the one before begins a new shot."""
        times = [(frame.pts - self._start_pts) * self._seconds_per_tick for frame in frames]
        likely = self._schedule.due(times, [False] * len(frames))
        luma = self._begin_likely_luma(frames, times)
        thumbnails, found = self._finder.look(frames, likely, THUMBNAIL_SIZE)
        changes = self._changes(frames)
        cuts = [cut or change for cut, change in zip(self._shot_detector.observe(thumbnails), changes, strict=True)]
        due = self._schedule.due(times, cuts)
        if due != likely:
            found = self._finder.complete(frames, due, found)
        for t, faces in zip(times, found, strict=True):
            if faces is not None:
                self._schedule.note(t, faces)
        observations = [
            Observation(f.pts, t, faces, cut) for f, t, faces, cut in zip(frames, times, found, cuts, strict=True)
        ]
        for frame, observation in zip(frames, observations, strict=True):
            self._look_for_panels(frame, observation, luma)
        return observations

    def may_be_due(self, frames: Sequence[Frame]) -> list[bool]:
        """Return for each of some consecutive frames whether ``observe`` may ask for its faces, cuts aside.

        It only reads what never changes, so that another thread may ask ahead.
        """
        return self._schedule.may_be_due([(frame.pts - self._start_pts) * self._seconds_per_tick for frame in frames])

    def panels_at(self, t: float) -> tuple[Rect, ...]:
        """Return the panels at ``t``, in parts of the frame's width and height; must not go back in time."""
        return self._panels.at(t)

    def state(self) -> dict[str, Any]:
        """Return everything that later observations depend on, as JSON-able values."""
        return {
            "cuts": self._shot_detector.state(),
            "panels": self._panels.state(),
            "pace": self._schedule.state(),
            "display": self._display,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._shot_detector.restore(state["cuts"])
        self._panels.restore(state["panels"])
        self._schedule.restore(state["pace"])
        self._display = size_from_json(state["display"])

    def _begin_likely_luma(self, frames: Sequence[Frame], times: Sequence[float]) -> dict[int, Luma]:
        """Begin the next sample for panels before the detector runs, so that the GPU makes both in one go."""
        likely = next((frame for frame, t in zip(frames, times, strict=True) if self._panels.is_due(t)), None)
        return {} if likely is None else {likely.pts: self._begin_luma(likely)}

    def _begin_luma(self, frame: Frame) -> Luma:
        return self._finder.begin_luma(frame, luma_size(*(frame.display or self._canvas)))

    def _look_for_panels(self, frame: Frame, observation: Observation, begun: Mapping[int, Luma]) -> None:
        if observation.cut:
            self._panels.begin_shot(observation.t)
        width, height = frame.display or self._canvas
        if observation.faces is not None:
            boxes = [face.box for face in observation.faces]
            if frame.display is not None:
                boxes = [Placement.of(frame.display, self._canvas).box_in_frame(box) for box in boxes]
            self._panels.note_faces(observation.t, [box.scaled(1 / width, 1 / height) for box in boxes])
        if self._panels.is_due(observation.t):
            luma = begun.get(frame.pts) or self._begin_luma(frame)
            self._panels.observe(observation.t, luma())

    def _changes(self, frames: Sequence[Frame]) -> list[bool]:
        """Return for each frame whether its displayed size differs from that of the one before."""
        displays = [self._display, *(frame.display for frame in frames)]
        self._display = displays[-1]
        return [a != b for a, b in pairwise(displays)]
