"""Small healthy recordings of two faces in every container and codec that people drop; mutants are made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from engines.priority import priority_kept
from tests.support import recordings as scenes
from tests.support.edit_lists import Cut, set_edits
from tests.support.synth import Audio, Clip

_PEOPLE = (scenes.still(0.28), scenes.still(0.72))
_FPS = 15


@dataclass(frozen=True)
class Original:
    """How one of them is made. ``flavour`` tells two of one extension apart."""

    flavour: str
    suffix: str
    codec: str
    pix_fmt: str = "yuv420p"
    audio: str | None = "aac"
    size: tuple[int, int] = (192, 144)
    frames: int = 12
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    rotation: int = 0
    fps: Fraction = Fraction(_FPS)
    edits: Sequence[Cut] = ()

    @property
    def name(self) -> str:
        return f"{self.flavour}.{self.suffix}"

    def write(self, folder: Path) -> Path:
        """Make the file."""
        path = folder / self.name
        seconds = self.frames / float(self.fps)
        Clip(
            width=self.size[0],
            height=self.size[1],
            frames=self.frames,
            fps=self.fps,
            codec=self.codec,
            pix_fmt=self.pix_fmt,
            options={"g": "6", **self.options},
            rotation=self.rotation,
            draw=_faces,
            audio=[_audio(self.audio, seconds)] if self.audio else [],
            container_options=self.container,
        ).write(path)
        return set_edits(path, self.edits) if self.edits else path


ORIGINALS = (
    Original("h264", "mp4", "libx264"),
    Original("faststart", "mp4", "libx264", container={"movflags": "+faststart"}, rotation=90),
    Original("fragmented", "mp4", "libx264", container={"movflags": "frag_keyframe+empty_moov"}),
    Original("edits", "mp4", "libx264", edits=(Cut(0.25, 0.4), Cut(0.2, None), Cut(0.3, 0.1), Cut(0.1, 0.3, rate=0))),
    Original("hevc", "mp4", "libx265", options={"x265-params": "log-level=none:keyint=6"}),
    Original("mpeg4", "mp4", "mpeg4", audio="mp3"),
    Original("av1", "mp4", "libsvtav1", size=(128, 96), frames=8, options={"preset": "12"}, audio=None),
    Original("h264", "mov", "libx264", audio="pcm_s16le", size=(160, 120)),
    Original("prores", "mov", "prores_ks", pix_fmt="yuv422p10le", size=(128, 96), frames=6, audio="alac"),
    Original("rle", "mov", "qtrle", pix_fmt="rgb24", size=(128, 96), frames=6, audio=None),
    Original("h264", "mkv", "libx264", audio="flac"),
    Original("ffv1", "mkv", "ffv1", size=(128, 96), frames=6, audio="pcm_s24le"),
    Original("vp8", "webm", "libvpx", audio="libopus", options={"deadline": "realtime"}),
    Original("vp9", "webm", "libvpx-vp9", audio="libopus", options={"deadline": "realtime", "cpu-used": "8"}),
    Original("mpeg4", "avi", "mpeg4", audio="mp3"),
    Original("mjpeg", "avi", "mjpeg", pix_fmt="yuvj420p", audio="pcm_s16le", frames=8),
    Original("h264", "avi", "libx264", audio="ac3", options={"bf": "0"}),
    Original("h264", "ts", "libx264"),
    Original("mpeg2", "ts", "mpeg2video", audio="mp2", fps=Fraction(25)),
    Original("mpeg2", "mpg", "mpeg2video", audio="mp2", fps=Fraction(25)),
    Original("h264", "flv", "libx264"),
    Original("wmv2", "wmv", "wmv2", audio="wmav2"),
    Original("mpeg2", "mxf", "mpeg2video", audio=None, fps=Fraction(25)),
    Original("h263", "3gp", "h263", size=(176, 144), audio=None),
)


def write_all(folder: Path) -> dict[str, Path]:
    """Make all originals, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    with priority_kept():
        return {original.name: original.write(folder) for original in ORIGINALS}


def _faces(number: int, width: int, height: int) -> VideoFrame:
    shown = scenes.image(number / _FPS, _PEOPLE, width, height)
    return VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="bgr24")


def _audio(codec: str, seconds: float) -> Audio:
    rate, layout = (8_000, "mono") if codec.startswith("pcm") else (48_000, "stereo")
    return Audio(codec=codec, beeps_s=(0.1,), length_s=seconds, rate=rate, layout=layout)
