"""Faces in pictures: the detector and the face embedding, in displayed pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelUnavailableError
from engines.frames import Frame, MediaInfo, Rect
from engines.models import yunet
from engines.models.face_embedding import CHIP_SIZE
from engines.models.yunet import Detections
from engines.protocols import Decoder
from engines.registry import Backend
from engines.settings import DeviceSettings
from pipeline.batcher import open_detector
from pipeline.people import Face
from pipeline.settings import DetectSettings
from pipeline.workload import Workload

_NMS_IOU = 0.3


class FaceFinder:
    """Runs the models of a backend on the pictures of one stream.

    Attributes:
        can_embed: whether faces can be compared.
        engine_name, embedder_name: of the models' engines; "" where faces cannot be compared.
        notes: for the report: why they cannot.
    """

    def __init__(
        self,
        backend: Backend,
        settings: DetectSettings,
        device: DeviceSettings,
        info: MediaInfo,
        decoder: Decoder,
        work: Workload,
    ) -> None:
        self._score = settings.score
        self._preprocessor = backend.preprocessor(info)
        self._detector = open_detector(backend, device)
        self._max_batch = work.batch(device.max_batch)
        self.engine_name = self._detector.name
        self.notes: tuple[str, ...] = ()
        self.embedder_name = ""
        try:
            self._embedder = backend.embedder()
            self.embedder_name = self._embedder.name
        except ModelUnavailableError as exc:
            self.notes = (f"People are told apart by motion alone: {exc.message}",)
        self.can_embed = not self.notes
        width, height = info.video.width, info.video.height
        self._surface_scale = np.array([decoder.surface_width / width, decoder.surface_height / height], np.float32)
        self._input_width, self._input_height = yunet.input_size(width / height, work.long_side(settings.long_side))
        content_width, content_height = yunet.content_size(width / height, self._input_width, self._input_height)
        self._scale = width / content_width, height / content_height

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], list[tuple[Face, ...] | None]]:
        """Thumbnails of all pictures, (N, height, width), and the faces of those that are wanted.

        In one go, because a device is asked and waited for: the thumbnails come while the detector works.
        """
        thumbnails = self._preprocessor.begin_thumbnails(frames, *thumbnail_size)
        found = self.complete(frames, wanted, [None] * len(frames))
        return thumbnails(), found

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[tuple[Face, ...] | None]
    ) -> list[tuple[Face, ...] | None]:
        """The faces of the pictures that are wanted, and of no others; only those not found yet are looked for."""
        missing = [w and known is None for w, known in zip(wanted, found, strict=True)]
        fresh = iter(self.find([f for f, m in zip(frames, missing, strict=True) if m]))
        complete = [next(fresh) if m else known for m, known in zip(missing, found, strict=True)]
        return [faces if w else None for w, faces in zip(wanted, complete, strict=True)]

    def find(self, frames: Sequence[Frame]) -> list[tuple[Face, ...]]:
        """The faces of each picture, best first."""
        parts = (frames[n : n + self._max_batch] for n in range(0, len(frames), self._max_batch))
        return [faces for part in parts for faces in self._find(part)]

    def _find(self, frames: Sequence[Frame]) -> list[tuple[Face, ...]]:
        tensor = self._preprocessor.detector_input(frames, self._input_width, self._input_height)
        candidates = self._preprocessor.candidates(self._detector.run(tensor), self._score)
        detections = yunet.faces(candidates, self._input_width, self._input_height, scale=self._scale, nms_iou=_NMS_IOU)
        return [_faces(d) for d in detections]

    def embed(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.float32]:
        """Embeddings of shape (N, 128), one for each face."""
        landmarks = np.array([face.landmarks for _, face in faces], np.float32) * self._surface_scale
        chips = self._preprocessor.aligned_chips([frame for frame, _ in faces], landmarks, CHIP_SIZE)
        (embeddings,) = self._embedder.run(chips)
        return np.asarray(embeddings, np.float32)

    def close(self) -> None:
        """Give the models' memory back; nothing can be looked for afterwards."""
        self._detector.close()
        if self.can_embed:
            self._embedder.close()


def _faces(found: Detections) -> tuple[Face, ...]:
    return tuple(
        Face(Rect(*map(float, box)), float(score), tuple((float(x), float(y)) for x, y in points))
        for box, score, points in zip(found.boxes, found.scores, found.landmarks, strict=True)
    )
