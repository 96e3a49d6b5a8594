"""The interfaces of a backend. One contract suite in tests/contract runs over all implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import ColorTags, EncodedPacket, Frame, FrameBatch, Rect

if TYPE_CHECKING:
    from engines.models.yunet import Candidates  # whose module loads onnx


class Decoder(Protocol):
    """Decodes one video stream into upright NV12 batches with exact timestamps.

    If size, pixel aspect or orientation change midway, each frame has its own (``Frame.display``). HDR and BT.2020
    come out as BT.709.

    A frame that cannot be decoded is replaced (``Frame.replaced``, see ``engines.cpu.concealment``), so that every
    frame that the container announces comes out once, in order of pts, pts strictly rising.
    """

    name: str  # for the report, e.g. "pyav"
    surface_width: int  # size of the first frame it yields; may be smaller than the displayed frame
    surface_height: int
    color: ColorTags  # of the frames it yields
    replaced_frames: int
    truncated: bool  # the container announces more than the file holds
    cpu_fallback: bool  # the CPU decodes instead of the GPU, or has decoded a part

    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        """Yield batches of up to ``size`` frames, beginning with the first whose pts is >= ``start_pts``."""
        ...

    def close(self) -> None: ...


# A float32 tensor in host memory (NumPy) or on the GPU (CuPy), passed from the preprocessor to the engine of a backend.
# Arrays on the GPU are ready when the work that the stream was given before is done.
Tensor: TypeAlias = Any


class InferenceEngine(Protocol):
    """Runs one model, batch first. Outputs are float32 and lie where the input lies."""

    name: str  # for the report, e.g. "onnxruntime-cpu"

    def run(self, batch: Tensor) -> list[Tensor]: ...

    def close(self) -> None: ...


class Preprocessor(Protocol):
    """Makes model inputs from NV12 frames, and reduces the detector's outputs to candidates in host memory."""

    def detector_input(self, frames: Sequence[Frame], width: int, height: int) -> Tensor:
        """Return a tensor of shape (N, 3, height, width), BGR 0..255: the frame scaled to fit, top left, black padding.

        All frames of a call are shown with the same aspect. Dark ones are brightened, as ``yunet.brighten`` does it.
        """
        ...

    def candidates(self, outputs: Sequence[Tensor], score_threshold: float) -> Candidates:
        """Return the detector's outputs that may be faces, in host memory."""
        ...

    def begin_thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> Callable[[], NDArray[np.uint8]]:
        """Begin to make luma thumbnails for cut detection, shape (N, height, width), area-averaged.

        The returned function waits for them and returns them in host memory; other work may begin before that.
        """
        ...

    def aligned_chips(self, frames: Sequence[Frame], landmarks: NDArray[np.float32], size: int) -> Tensor:
        """Return aligned face chips for the embedding, shape (N, 3, size, size), RGB 0..255.

        ``landmarks`` has shape (N, 5, 2), in pixels of the frame at the same index, in YuNet's order.
        """
        ...

    def to_host(self, tensor: Tensor) -> NDArray[np.float32]:
        """Return a tensor of this preprocessor in host memory."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TileSource:
    """The source of a tile's pixels: a frame and a crop in its pixels; without a crop the tile is a placeholder.

    Attributes:
        picture: the part of the tile that the crop fills, in parts of the tile; ``engines.extension`` defines the rest.
            None: the crop fills the tile.
    """

    frame: Frame
    crop: Rect | None
    picture: Rect | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """The content and time of one output frame; without a right tile, the left one fills the frame."""

    left: TileSource
    right: TileSource | None
    pts: int
    duration: int

    @property
    def replaced(self) -> bool:
        return self.left.frame.replaced or (self.right is not None and self.right.frame.replaced)


class Compositor(Protocol):
    """Draws two tiles side by side, or one that fills the frame, into one NV12 frame of fixed size."""

    name: str

    def compose(self, left: TileSource, right: TileSource | None, pts: int, duration: int) -> Frame: ...

    def compose_batch(self, compositions: Sequence[Composition]) -> list[Frame]:
        """Draw several frames, in order, together if the device can."""
        ...


class Encoder(Protocol):
    """Encodes NV12 frames. A fresh encoder begins with a keyframe; headers are only in ``extradata``."""

    name: str  # for the report, e.g. "libx264"
    extradata: bytes

    def encode(self, frame: Frame) -> list[EncodedPacket]: ...

    def flush(self) -> list[EncodedPacket]: ...
