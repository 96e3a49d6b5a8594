"""Analysis of one stream: frames in, rows out. It runs about a second ahead of rendering and holds those frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, FrameBatch, Size
from pipeline.camera.gaze import GazeMemory
from pipeline.camera.planner import CameraOperator
from pipeline.canvas import Placement
from pipeline.detection.finder import Finder
from pipeline.detection.observer import Observer
from pipeline.identity.resolver import PeopleResolver
from pipeline.people import Face, Row, Scene, row_from_json
from pipeline.telemetry.timing import JobTelemetry


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A frame and what the two tiles show of it."""

    frame: Frame
    row: Row


class Analysis:
    """Detects, follows and recognises people, and plans the cameras.

    All state that outlives a frame is in ``state``.

    Args:
        canvas: displayed size of frames that do not have their own.
        pending_frames: holds frames by pts until their row is decided; shared with the ``FaceEmbedder``.
    """

    def __init__(
        self,
        *,
        observer: Observer,
        people: PeopleResolver,
        cameras: CameraOperator,
        telemetry: JobTelemetry,
        canvas: Size,
        pending_frames: dict[int, Frame],
    ) -> None:
        self._observer = observer
        self._gaze = GazeMemory()
        self._people = people
        self._cameras = cameras
        self._telemetry = telemetry
        self._canvas = canvas
        self._pending_frames = pending_frames
        self._analysed_pts: int | None = None
        self._rows: list[Row] = []
        self._finished = False

    def may_be_due(self, frames: Sequence[Frame]) -> list[bool]:
        """Return for each of some consecutive frames whether its faces may be asked for; any thread may call it."""
        return self._observer.may_be_due(frames)

    def push(self, batch: FrameBatch) -> list[Planned]:
        """Analyse consecutive frames; return the frames whose rows are now decided, oldest first."""
        for frame in batch.frames:
            self._pending_frames[frame.pts] = frame
        fresh = [f for f in batch.frames if self._analysed_pts is None or f.pts > self._analysed_pts]
        if fresh and not self._finished:
            self._analysed_pts = fresh[-1].pts
            with self._telemetry.measure("detect", len(fresh)):
                observations = self._observer.observe(fresh)
                self._gaze.note(observations)
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

    def _placed(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Convert scenes from pixels of the canvas to pixels of their frames."""
        return [self._in_frame(scene, self._pending_frames[scene.pts].display) for scene in scenes]

    def _in_frame(self, scene: Scene, display: Size | None) -> Scene:
        scene = self._gaze.added(scene)
        panels = tuple(panel.scaled(*(display or self._canvas)) for panel in self._observer.panels_at(scene.t))
        scene = scene if display is None else Placement.of(display, self._canvas).scene_in_frame(scene, display)
        return replace(scene, panels=panels) if panels else scene

    def state(self, undelivered: Sequence[Row]) -> dict[str, Any]:
        """Return JSON-able state with which a fresh object continues identically.

        Args:
            undelivered: decided rows of frames behind the boundary at which the job would resume.
        """
        return {
            "observer": self._observer.state(),
            "gaze": self._gaze.state(),
            "people": self._people.state(),
            "cameras": self._cameras.state(),
            "analysed_pts": self._analysed_pts,
            "finished": self._finished,
            "rows": [asdict(row) for row in [*undelivered, *self._rows]],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._observer.restore(state["observer"])
        self._gaze.restore(state["gaze"])
        self._people.restore(state["people"])
        self._cameras.restore(state["cameras"])
        self._analysed_pts = state["analysed_pts"]
        self._finished = state["finished"]
        self._rows = [row_from_json(r) for r in state["rows"]]


class FaceEmbedder:
    """Embeds faces of frames whose row is not decided yet; ``PeopleResolver`` calls it on suspicion."""

    def __init__(self, finder: Finder, pending_frames: Mapping[int, Frame]) -> None:
        self._finder = finder
        self._pending_frames = pending_frames

    def __call__(self, faces: Sequence[tuple[int, Face]]) -> NDArray[np.float32]:
        return self._finder.embed([(self._pending_frames[pts], face) for pts, face in faces])
