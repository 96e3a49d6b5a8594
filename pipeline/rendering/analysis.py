"""Analysis of one stream: frames in, rows out. It runs about a second ahead of rendering and holds those frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, FrameBatch, Size
from pipeline.camera.gaze import GazeMemory
from pipeline.camera.planner import CameraOperator
from pipeline.canvas import Placement
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.shot_detector import ShotDetector
from pipeline.identity.resolver import PeopleResolver
from pipeline.panels.panel_detector import PanelDetector, luma_size
from pipeline.people import Face, Observation, Row, Scene, row_from_json, size_from_json
from pipeline.telemetry.timing import JobTelemetry

THUMBNAIL_SIZE = (64, 36)
Luma: TypeAlias = Callable[[], NDArray[np.uint8]]  # waits for a frame's luma, shape (height, width)


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A frame and what the two tiles show of it."""

    frame: Frame
    row: Row


class Analysis:
    """Detects, follows and recognises people, and plans the cameras.

    All state that outlives a frame is in ``state``. A frame of another displayed size than the one before begins a
    new shot.

    Args:
        canvas: displayed size of frames that do not have their own.
        pending_frames: holds frames by pts until their row is decided; shared with the ``FaceEmbedder``.
    """

    def __init__(
        self,
        *,
        finder: FaceFinder,
        shot_detector: ShotDetector,
        people: PeopleResolver,
        cameras: CameraOperator,
        schedule: DetectionSchedule,
        start_pts: int,
        seconds_per_tick: float,
        telemetry: JobTelemetry,
        canvas: Size,
        pending_frames: dict[int, Frame],
    ) -> None:
        self._finder = finder
        self._shot_detector = shot_detector
        self._panels = PanelDetector()
        self._gaze = GazeMemory()
        self._people = people
        self._cameras = cameras
        self._schedule = schedule
        self.start_pts = start_pts
        self._seconds_per_tick = seconds_per_tick
        self._telemetry = telemetry
        self._canvas = canvas
        self._display: Size | None = None  # of the latest frame
        self._pending_frames = pending_frames
        self._analysed_pts: int | None = None
        self._rows: list[Row] = []
        self._finished = False

    def push(self, batch: FrameBatch) -> list[Planned]:
        """Analyse consecutive frames; return the frames whose rows are now decided, oldest first."""
        for frame in batch.frames:
            self._pending_frames[frame.pts] = frame
        fresh = [f for f in batch.frames if self._analysed_pts is None or f.pts > self._analysed_pts]
        if fresh and not self._finished:
            self._analysed_pts = fresh[-1].pts
            observations = self._observe(fresh)
            with self._telemetry.measure("track", len(fresh)):
                self._rows += self._cameras.observe(self._placed(self._people.observe(observations)))
        return self._planned()

    def finish(self) -> list[Planned]:
        """Decide all rows that are left: the stream has ended."""
        if not self._finished:
            self._finished = True
            self._rows += self._cameras.observe(self._placed(self._people.finish()))
            self._rows += self._cameras.finish()
        return self._planned()

    def _planned(self) -> list[Planned]:
        """Match decided rows with their frames, which may come later than their rows after a resume."""
        ready = 0
        while ready < len(self._rows) and self._rows[ready].pts in self._pending_frames:
            ready += 1
        planned = [Planned(self._pending_frames.pop(row.pts), row) for row in self._rows[:ready]]
        del self._rows[:ready]
        return planned

    def _observe(self, frames: Sequence[Frame]) -> list[Observation]:
        with self._telemetry.measure("detect", len(frames)):
            times = [(f.pts - self.start_pts) * self._seconds_per_tick for f in frames]
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
            self._gaze.note(observations)
            for frame, observation in zip(frames, observations, strict=True):
                self._look_for_panels(frame, observation, luma)
            return observations

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

    def _placed(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Convert scenes from pixels of the canvas to pixels of their frames."""
        return [self._in_frame(scene, self._pending_frames[scene.pts].display) for scene in scenes]

    def _in_frame(self, scene: Scene, display: Size | None) -> Scene:
        scene = self._gaze.added(scene)
        panels = tuple(panel.scaled(*(display or self._canvas)) for panel in self._panels.at(scene.t))
        scene = scene if display is None else Placement.of(display, self._canvas).scene_in_frame(scene, display)
        return replace(scene, panels=panels) if panels else scene

    def state(self, undelivered: Sequence[Row]) -> dict[str, Any]:
        """Return JSON-able state with which a fresh object continues identically.

        Args:
            undelivered: decided rows of frames behind the boundary at which the job would resume.
        """
        return {
            "cuts": self._shot_detector.state(),
            "panels": self._panels.state(),
            "gaze": self._gaze.state(),
            "people": self._people.state(),
            "cameras": self._cameras.state(),
            "pace": self._schedule.state(),
            "analysed_pts": self._analysed_pts,
            "display": self._display,
            "finished": self._finished,
            "rows": [asdict(row) for row in [*undelivered, *self._rows]],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._shot_detector.restore(state["cuts"])
        self._panels.restore(state["panels"])
        self._gaze.restore(state["gaze"])
        self._people.restore(state["people"])
        self._cameras.restore(state["cameras"])
        self._schedule.restore(state["pace"])
        self._analysed_pts = state["analysed_pts"]
        self._display = size_from_json(state["display"])
        self._finished = state["finished"]
        self._rows = [row_from_json(r) for r in state["rows"]]


class FaceEmbedder:
    """Embeds faces of frames whose row is not decided yet; ``PeopleResolver`` calls it on suspicion."""

    def __init__(self, finder: FaceFinder, pending_frames: Mapping[int, Frame]) -> None:
        self._finder = finder
        self._pending_frames = pending_frames

    def __call__(self, faces: Sequence[tuple[int, Face]]) -> NDArray[np.float32]:
        return self._finder.embed([(self._pending_frames[pts], face) for pts, face in faces])
