"""What the models see in a drawn recording, taken once, so that many resolvers can be tried on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, MediaInfo
from engines.media.probe import probe
from engines.registry import CpuBackend
from engines.settings import DeviceSettings
from pipeline.degradation.workload import MAX_SURFACE_PIXELS, Workload
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.observer import THUMBNAIL_SIZE
from pipeline.detection.shot_detector import ShotDetector
from pipeline.identity.resolver import PeopleResolver
from pipeline.people import Face, Observation, Scene
from pipeline.settings import DetectSettings, IdentitySettings

LOOKAHEAD_S = 0.7
_BATCH = 8


@dataclass
class Sightings:
    """Observations of a recording, and embeddings of all their faces by pts and left edge."""

    width: int
    height: int
    observations: list[Observation] = field(default_factory=list)
    embeddings: dict[tuple[int, float], NDArray[np.float32]] = field(default_factory=dict)

    def embed(self, faces: Sequence[tuple[int, Face]]) -> NDArray[np.float32]:
        return np.stack([self.embeddings[pts, face.box.x] for pts, face in faces])

    def play(self) -> tuple[list[Scene], PeopleResolver]:
        """Resolve who is who; return all scenes, and the resolver for its summary."""
        people = PeopleResolver(
            IdentitySettings(),
            assignment="identity",
            lookahead_s=LOOKAHEAD_S,
            width=self.width,
            height=self.height,
            embed=self.embed,
        )
        scenes: list[Scene] = []
        for first in range(0, len(self.observations), _BATCH):
            scenes += people.observe(self.observations[first : first + _BATCH])
        return scenes + people.finish(), people


def sightings(path: Path, *, embed: bool = True) -> Sightings:
    """Run shot detector, face detector and face embedding on a recording."""
    info = probe(path)
    finder, shots, video = face_finder(path), ShotDetector(), info.video
    schedule = DetectionSchedule(DetectSettings(), video.fps, video.width)
    seen = Sightings(video.width, video.height)
    for frames, pts_0 in _batches(path, info):
        times = [float((f.pts - pts_0) * video.time_base) for f in frames]
        thumbnails, _ = finder.look(frames, [False] * len(frames), THUMBNAIL_SIZE)
        cuts = shots.observe(thumbnails)
        due = schedule.due(times, cuts)
        found = finder.complete(frames, due, [None] * len(frames))
        for frame, t, faces, cut in zip(frames, times, found, cuts, strict=True):
            if faces is not None:
                schedule.note(t, faces)
                if embed and faces:
                    vectors = finder.embed([(frame, face) for face in faces])
                    seen.embeddings |= {(frame.pts, f.box.x): v for f, v in zip(faces, vectors, strict=True)}
            seen.observations.append(Observation(frame.pts, t, faces, cut))
    return seen


def _batches(path: Path, info: MediaInfo) -> list[tuple[list[Frame], int]]:
    decoder = _backend().decoder(path, info, max_surface_pixels=MAX_SURFACE_PIXELS)
    copies = [
        [Frame(f.y.copy(), f.uv.copy(), f.pts, f.duration, display=f.display) for f in batch.frames]
        for batch in decoder.batches(None, _BATCH)
    ]
    decoder.close()
    return [(frames, copies[0][0].pts) for frames in copies]


@lru_cache
def _backend() -> CpuBackend:
    return CpuBackend()


def face_finder(path: Path) -> FaceFinder:
    """The models for frames of this recording."""
    return FaceFinder(_backend(), DetectSettings(), DeviceSettings(), probe(path), Workload())
