"""Frames, packets and stream descriptions that engines exchange: NV12, with exact timestamps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from engines.media_warnings import MediaWarning

if TYPE_CHECKING:  # the service knows jobs and reports, which name these classes, but never loads NumPy
    import numpy as np
    from numpy.typing import NDArray

Plane: TypeAlias = "NDArray[np.uint8]"
Size: TypeAlias = tuple[int, int]  # width, height


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One upright frame in 8-bit NV12. Its size may differ from that of the frame before.

    If HDR is kept, it is P010: 16 bits for each sample, of which the upper ten count.

    Attributes:
        y: luma, shape (H, W); rows may be padded (strided), pixels of a row are contiguous.
        uv: chroma, shape (ceil(H / 2), ceil(W / 2), 2), U before V.
        pts: presentation time in ticks of the stream's time base, from the container.
        duration: ticks until the next frame; the last one's is a best guess, never 0.
        replaced: this frame replaces one that could not be decoded.
        display: width and height when shown in square pixels; None is what ``VideoInfo`` says.
    """

    y: Plane
    uv: Plane
    pts: int
    duration: int
    replaced: bool = False
    display: Size | None = None

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def nbytes(self) -> int:
        return int(self.y.nbytes + self.uv.nbytes)


def on_host(frame: Frame) -> Frame:
    """Return the frame with its planes in host memory; they are copied if they are on a device."""
    planes = [plane.get() if hasattr(plane, "get") else plane for plane in (frame.y, frame.uv)]
    return replace(frame, y=planes[0], uv=planes[1])


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """Consecutive frames of one stream, oldest first, on one device."""

    frames: tuple[Frame, ...]
    time_base: Fraction
    device: str = "cpu"

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels, fractions allowed: left, top, width, height."""

    x: float
    y: float
    w: float
    h: float

    @property
    def cx(self) -> float:
        return self.x + self.w / 2

    @property
    def cy(self) -> float:
        return self.y + self.h / 2

    def scaled(self, sx: float, sy: float) -> Rect:
        return Rect(self.x * sx, self.y * sy, self.w * sx, self.h * sy)


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One encoded frame. ``pts`` is in the time base of the frames that went in."""

    data: bytes
    pts: int
    is_keyframe: bool


@dataclass(frozen=True, slots=True)
class ColorTags:
    """Colour description as H.273 code points; 2 means unspecified.

    ``mastering_display`` (SMPTE ST 2086) and ``content_light`` (MaxCLL, MaxFALL) are in x265's words, "" if unknown.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False
    mastering_display: str = ""
    content_light: str = ""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One audio stream as its header describes it.

    ``channel_labels`` are FFmpeg's names of the channels in stored order ("FL", "LFE"; "UNK" for an unlabelled one), or
    None if the file labels none: then they are discrete. ``engines.audio.channel_layouts.native_order`` sorts them.
    """

    index: int
    codec: str
    sample_rate: int
    channels: int
    duration_s: float | None
    language: str | None = None
    channel_labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The chosen video stream as its header describes it.

    ``width`` and ``height`` are those of the displayed frame: rotation and pixel aspect applied. ``coded_width``
    and ``coded_height`` are the stored frame's. ``frames_from_header`` is None if the container has no count.
    If the size changes midway, frames of more than ``max_pixels`` are not decoded; they count as damaged.
    ``index`` is the stream's in the file; ``chosen_because`` says in one sentence why this stream was chosen.

    If size, pixel aspect or orientation change midway, all this describes the first frame; ``Frame.display`` has the
    size of others. ``sample_aspect`` comes from the container, ``coded_aspect`` from the codec (None: not stated);
    while that does not change, the container's is used. ``peak_cd_m2`` is the peak white of PQ video in its metadata.
    """

    codec: str
    coded_width: int
    coded_height: int
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    fps: Fraction
    vfr: bool
    frames_from_header: int | None
    rotation_deg: int
    sample_aspect: Fraction
    interlaced: bool
    time_base: Fraction
    start_pts: int
    duration_s: float | None
    color: ColorTags
    mirrored: bool = False  # left to right, after the rotation
    coded_aspect: Fraction | None = None
    peak_cd_m2: float | None = None
    max_pixels: int = 2**28
    index: int = 0
    chosen_because: str = ""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds."""

    container: str
    bytes: int
    duration_s: float | None
    video: VideoInfo
    audio: tuple[AudioInfo, ...]
    warnings: tuple[MediaWarning, ...] = ()  # about what is known beforehand to be missing in the result
