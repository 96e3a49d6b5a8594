"""Frames, packets and descriptions of media, which all engines exchange."""

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

    If HDR is kept, it is P010 instead: 16 bits for each sample, of which the upper ten are used.

    Attributes:
        y: luma, shape (H, W); rows may be padded (strided), pixels of a row are contiguous.
        uv: chroma, shape (ceil(H / 2), ceil(W / 2), 2), U before V.
        pts: presentation time in ticks of the stream's time base, from the container.
        duration: ticks until the next frame; an estimate for the last one, never 0.
        replaced: whether this frame replaces one that could not be decoded.
        display: displayed width and height in square pixels; None: those of ``VideoInfo``.
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
    """Return the frame with its planes in host memory; planes on a device are copied."""
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
    """One encoded frame. ``pts`` is in the time base of the encoder's input."""

    data: bytes
    pts: int
    is_keyframe: bool


@dataclass(frozen=True, slots=True)
class ColorTags:
    """Colour description as H.273 code points; 2 means unspecified.

    ``mastering_display`` (SMPTE ST 2086) and ``content_light`` (MaxCLL, MaxFALL) are in x265's notation, "" if unknown.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False
    mastering_display: str = ""
    content_light: str = ""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Description of an audio stream, from its header.

    ``channel_labels`` are FFmpeg's names of the channels in stored order ("FL", "LFE"; "UNK" if the file does not name
    the channel); None if the file names none: then the channels are discrete.
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
    """Description of the chosen video stream, from its header and first frame.

    ``width`` and ``height`` are those of the displayed frame, after rotation and pixel aspect. ``coded_width`` and
    ``coded_height`` are those of the stored frame. ``frames_from_header`` is None if the container does not give it.
    If the size changes midway, frames of more than ``max_pixels`` are not decoded and count as damaged. ``index`` is
    the stream's index in the file; ``chosen_because`` is one sentence with the reason for the choice.

    If size, pixel aspect or orientation change midway, this describes the first frame, and ``Frame.display`` the
    others. ``sample_aspect`` is the container's, ``coded_aspect`` the codec's (None: unknown); the container's applies
    until the codec's changes. ``peak_cd_m2`` is the brightest white of PQ video, from metadata.
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
    """Description of a file."""

    container: str
    bytes: int
    duration_s: float | None
    video: VideoInfo
    audio: tuple[AudioInfo, ...]
    warnings: tuple[MediaWarning, ...] = ()  # about parts of the file that the result will not have
