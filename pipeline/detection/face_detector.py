"""Faces in frames: the detector and the face embedding, in pixels of the canvas (``pipeline.canvas``)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelUnavailableError
from engines.frames import Frame, MediaInfo, Rect, Size
from engines.models import yunet
from engines.models.face_embedding import CHIP_SIZE
from engines.models.yunet import Detections
from engines.protocols import Tensor
from engines.registry import Backend
from engines.settings import DeviceSettings
from pipeline.canvas import Placement
from pipeline.degradation.workload import Workload
from pipeline.detection.region import Region
from pipeline.people import Face
from pipeline.settings import DetectSettings

_NMS_IOU = 0.3
_CLOSE_INPUT = 320, 192  # width and height of the detector's input for a part of a frame


@dataclass(frozen=True, slots=True)
class _Lens:
    """How the detector sees frames of one displayed size.

    Attributes:
        width, height: of the detector's input.
        scale: displayed pixels per pixel of the input, across and down.
        placement: on the canvas; None where the frame is the canvas.
    """

    width: int
    height: int
    scale: tuple[float, float]
    placement: Placement | None


class FaceFinder:
    """Runs the models of a backend on the frames of one stream.

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
        work: Workload,
        *,
        keep_hdr: bool = False,
    ) -> None:
        self._score = settings.score
        self._preprocessor, self._close_preprocessor = (backend.preprocessor(info, keep_hdr=keep_hdr) for _ in range(2))
        self._detector = backend.detector()
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
        self._canvas = info.video.width, info.video.height
        self._long_side = work.long_side(settings.long_side)
        self._lenses: dict[Size | None, _Lens] = {}
        self._detecting = threading.Lock()  # the detector's outputs hold until its next run

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], list[tuple[Face, ...] | None]]:
        """Thumbnails of all frames, (N, height, width), and the faces of those that are wanted.

        In one go, because a device is asked and waited for: the thumbnails come while the detector works.
        """
        thumbnails = self._preprocessor.begin_thumbnails(frames, *thumbnail_size)
        found = self.complete(frames, wanted, [None] * len(frames))
        return thumbnails(), found

    def begin_luma(self, frame: Frame, size: Size) -> Callable[[], NDArray[np.uint8]]:
        """Begin to make a frame's luma, averaged by area; the returned function returns it, shape (height, width)."""
        thumbnails = self._preprocessor.begin_thumbnails([frame], *size)
        return lambda: thumbnails()[0]

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[tuple[Face, ...] | None]
    ) -> list[tuple[Face, ...] | None]:
        """The faces of the frames that are wanted, and of no others; only those not found yet are looked for."""
        missing = [w and known is None for w, known in zip(wanted, found, strict=True)]
        fresh = iter(self.find([f for f, m in zip(frames, missing, strict=True) if m]))
        complete = [next(fresh) if m else known for m, known in zip(missing, found, strict=True)]
        return [faces if w else None for w, faces in zip(wanted, complete, strict=True)]

    def find(self, frames: Sequence[Frame]) -> list[tuple[Face, ...]]:
        """The faces of each frame, best first."""
        alike = [list(part) for _, part in groupby(frames, key=lambda frame: frame.display)]
        parts = (run[n : n + self._max_batch] for run in alike for n in range(0, len(run), self._max_batch))
        return [faces for part in parts for faces in self._find(part)]

    def _find(self, frames: Sequence[Frame]) -> list[tuple[Face, ...]]:
        lens = self._lens(frames[0].display)
        with self._detecting:
            tensor = self._preprocessor.detector_input(frames, lens.width, lens.height)
            candidates = self._preprocessor.candidates(self._detector.run(tensor), self._score)
        detections = yunet.faces(candidates, lens.width, lens.height, scale=lens.scale, nms_iou=_NMS_IOU)
        return [_faces(d, lens.placement) for d in detections]

    def find_close(self, frame: Frame, part: Rect, score: float) -> tuple[Face, ...]:
        """The faces in a part of a frame, enlarged, best first.

        Args:
            part: in pixels of the canvas.
            score: least confidence of a face.
        """
        region = self.region(frame, part)
        with self._detecting:
            tensor = self._close_preprocessor.detector_input([region.frame], *_CLOSE_INPUT)
            candidates = self._close_preprocessor.candidates(self._detector.run(tensor), score)
        width, height = yunet.content_size(_aspect(region.frame), *_CLOSE_INPUT)
        scale = region.place.w / width, region.place.h / height
        (found,) = yunet.faces(candidates, *_CLOSE_INPUT, nms_iou=_NMS_IOU, scale=scale)
        corner = np.array([region.place.x, region.place.y], np.float32)
        boxes = found.boxes + np.append(corner, [0, 0]).astype(np.float32)
        placed = Detections(boxes, found.scores, found.landmarks + corner)
        return _faces(placed, self._lens(frame.display).placement)

    def region(self, frame: Frame, part: Rect) -> Region:
        """A part of a frame, given in pixels of the canvas."""
        return Region.of(frame, self.in_frame(frame, part), frame.display or self._canvas)

    def in_frame(self, frame: Frame, box: Rect) -> Rect:
        """A box of the canvas in pixels of the displayed frame."""
        placement = self._lens(frame.display).placement
        return box if placement is None else placement.box_in_frame(box)

    def _lens(self, display: Size | None) -> _Lens:
        lens = self._lenses.get(display)
        if lens is None:
            width, height = display or self._canvas
            across, down = yunet.input_size(width / height, self._long_side)
            content_width, content_height = yunet.content_size(width / height, across, down)
            placement = None if display is None else Placement.of(display, self._canvas)
            lens = _Lens(across, down, (width / content_width, height / content_height), placement)
            self._lenses[display] = lens
        return lens

    def _on_surface(self, frame: Frame, face: Face) -> NDArray[np.float32]:
        """A face's landmarks, (5, 2), in pixels of the frame."""
        placement = self._lens(frame.display).placement
        points = face.landmarks if placement is None else placement.points_in_frame(face.landmarks)
        width, height = frame.display or self._canvas
        scale = np.array([frame.width / width, frame.height / height], np.float32)
        return np.array(points, np.float32) * scale

    def embed(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.float32]:
        """Embeddings of shape (N, 128), one for each face."""
        return self._embedded(self._chips(faces))

    def chips(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.uint8]:
        """The pixels that ``embed`` makes an embedding of, in host memory: (N, 3, 150, 150) RGB."""
        return self._preprocessor.to_host(self._chips(faces)).astype(np.uint8)

    def embed_chips(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings of ``chips``, the same as of their faces."""
        return self._embedded(chips.astype(np.float32))

    def _chips(self, faces: Sequence[tuple[Frame, Face]]) -> Tensor:
        landmarks = np.stack([self._on_surface(frame, face) for frame, face in faces])
        return self._preprocessor.aligned_chips([frame for frame, _ in faces], landmarks, CHIP_SIZE)

    def _embedded(self, chips: Tensor) -> NDArray[np.float32]:
        (embeddings,) = self._embedder.run(chips)
        return np.asarray(embeddings, np.float32)

    def close(self) -> None:
        """Give the models' memory back; nothing can be looked for afterwards."""
        self._detector.close()
        if self.can_embed:
            self._embedder.close()


def _aspect(frame: Frame) -> float:
    width, height = frame.display or (frame.width, frame.height)
    return width / height


def _faces(found: Detections, placement: Placement | None) -> tuple[Face, ...]:
    faces = tuple(
        Face(Rect(*map(float, box)), float(score), tuple((float(x), float(y)) for x, y in points))
        for box, score, points in zip(found.boxes, found.scores, found.landmarks, strict=True)
    )
    return faces if placement is None else tuple(map(placement.face_on_canvas, faces))
