"""Analysis of one stream: frames in, rows out. Runs about a second ahead of rendering and holds those frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, FrameBatch, Size
from pipeline.camera.gaze import GazeMemory
from pipeline.camera.planner import CameraOperator
from pipeline.canvas import Placement
from pipeline.detection.detection_schedule import DetectorPace
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.shot_detector import CutDetector
from pipeline.identity.resolver import PeopleResolver
from pipeline.panels.panel_detector import PanelDetector, luma_size
from pipeline.people import Face, Observation, Row, Scene, row_from_json, size_from_json
from pipeline.telemetry.timing import JobClock

THUMBNAIL_SIZE = (64, 36)


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A frame and what the two tiles show of it."""

    frame: Frame
    row: Row


class Analysis:
    """Detects, follows and recognises people, and plans the cameras.

    Frames wait here until their row is decided. All state that outlives a frame is in ``state``. A frame of
    another displayed size than the one before begins a new shot.

    Args:
        canvas: displayed size of frames that name none.
    """

    def __init__(
        self,
        *,
        finder: FaceFinder,
        cuts: CutDetector,
        people: PeopleResolver,
        cameras: CameraOperator,
        pace: DetectorPace,
        start_pts: int,
        seconds_per_tick: float,
        clock: JobClock,
        canvas: Size,
    ) -> None:
        self._finder = finder
        self._cuts = cuts
        self._panels = PanelDetector()
        self._gaze = GazeMemory()
        self._people = people
        self._cameras = cameras
        self._pace = pace
        self.start_pts = start_pts
        self._seconds_per_tick = seconds_per_tick
        self._clock = clock
        self._canvas = canvas
        self._display: Size | None = None  # of the latest frame
        self._waiting: OrderedDict[int, Frame] = OrderedDict()
        self._analysed_pts: int | None = None
        self._rows: list[Row] = []
        self._finished = False

    def push(self, batch: FrameBatch) -> list[Planned]:
        """Take consecutive frames; return those whose rows are now decided, oldest first."""
        for frame in batch.frames:
            self._waiting[frame.pts] = frame
        fresh = [f for f in batch.frames if self._analysed_pts is None or f.pts > self._analysed_pts]
        if fresh and not self._finished:
            self._analysed_pts = fresh[-1].pts
            observations = self._observe(fresh)
            with self._clock.measure("track", len(fresh)):
                self._rows += self._cameras.observe(self._placed(self._people.observe(observations)))
        return self._planned()

    def finish(self) -> list[Planned]:
        """The stream has ended: decide all that is left."""
        if not self._finished:
            self._finished = True
            self._rows += self._cameras.observe(self._placed(self._people.finish()))
            self._rows += self._cameras.finish()
        return self._planned()

    def frame(self, pts: int) -> Frame:
        """A frame whose row is not decided yet."""
        return self._waiting[pts]

    def _planned(self) -> list[Planned]:
        """Match decided rows with their frames, which after a resume may still be on their way."""
        ready = 0
        while ready < len(self._rows) and self._rows[ready].pts in self._waiting:
            ready += 1
        planned = [Planned(self._waiting.pop(row.pts), row) for row in self._rows[:ready]]
        del self._rows[:ready]
        return planned

    def _observe(self, frames: Sequence[Frame]) -> list[Observation]:
        with self._clock.measure("detect", len(frames)):
            times = [(f.pts - self.start_pts) * self._seconds_per_tick for f in frames]
            likely = self._pace.due(times, [False] * len(frames))
            thumbnails, found = self._finder.look(frames, likely, THUMBNAIL_SIZE)
            changes = self._changes(frames)
            cuts = [cut or change for cut, change in zip(self._cuts.observe(thumbnails), changes, strict=True)]
            due = self._pace.due(times, cuts)
            if due != likely:
                found = self._finder.complete(frames, due, found)
            for t, faces in zip(times, found, strict=True):
                if faces is not None:
                    self._pace.note(t, faces)
            observations = [
                Observation(f.pts, t, faces, cut) for f, t, faces, cut in zip(frames, times, found, cuts, strict=True)
            ]
            self._gaze.note(observations)
            for frame, observation in zip(frames, observations, strict=True):
                self._look_for_panels(frame, observation)
            return observations

    def _look_for_panels(self, frame: Frame, observation: Observation) -> None:
        if observation.cut:
            self._panels.begin_shot(observation.t)
        if self._panels.is_due(observation.t):
            width, height = frame.display or self._canvas
            luma = self._finder.luma(frame, luma_size(width, height))
            boxes = [face.box for face in observation.faces or ()]
            if frame.display is not None:
                boxes = [Placement.of(frame.display, self._canvas).box_in_frame(box) for box in boxes]
            self._panels.observe(observation.t, luma, [box.scaled(1 / width, 1 / height) for box in boxes])

    def _changes(self, frames: Sequence[Frame]) -> list[bool]:
        """Which frames have another displayed size than the one before."""
        displays = [self._display, *(frame.display for frame in frames)]
        self._display = displays[-1]
        return [a != b for a, b in pairwise(displays)]

    def _placed(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Scenes of the canvas in the pixels of their frames."""
        return [self._in_frame(scene, self._waiting[scene.pts].display) for scene in scenes]

    def _in_frame(self, scene: Scene, display: Size | None) -> Scene:
        scene = self._gaze.added(scene)
        panels = tuple(panel.scaled(*(display or self._canvas)) for panel in self._panels.at(scene.t))
        scene = scene if display is None else Placement.of(display, self._canvas).scene_in_frame(scene, display)
        return replace(scene, panels=panels) if panels else scene

    def state(self, undelivered: Sequence[Row]) -> dict[str, Any]:
        """JSON-able state such that a fresh object goes on identically.

        Args:
            undelivered: decided rows that belong to frames behind the boundary at which the job would resume.
        """
        return {
            "cuts": self._cuts.state(),
            "panels": self._panels.state(),
            "gaze": self._gaze.state(),
            "people": self._people.state(),
            "cameras": self._cameras.state(),
            "pace": self._pace.state(),
            "analysed_pts": self._analysed_pts,
            "display": self._display,
            "finished": self._finished,
            "rows": [asdict(row) for row in [*undelivered, *self._rows]],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._cuts.restore(state["cuts"])
        self._panels.restore(state["panels"])
        self._gaze.restore(state["gaze"])
        self._people.restore(state["people"])
        self._cameras.restore(state["cameras"])
        self._pace.restore(state["pace"])
        self._analysed_pts = state["analysed_pts"]
        self._display = size_from_json(state["display"])
        self._finished = state["finished"]
        self._rows = [row_from_json(r) for r in state["rows"]]


class FaceEmbedder:
    """Embeds faces of frames that still wait in an analysis: what ``PeopleResolver`` calls on suspicion."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self.analysis: Analysis | None = None

    def __call__(self, faces: Sequence[tuple[int, Face]]) -> NDArray[np.float32]:
        if self.analysis is None:
            raise RuntimeError("the embedder is asked before its analysis exists")
        return self._finder.embed([(self.analysis.frame(pts), face) for pts, face in faces])
