"""Decide which audio streams are copied into the result, and why the others are encoded."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import av
from av.audio.stream import AudioStream

from engines.containers.streams import codec_name

AudioMode = Literal["auto", "copy", "aac", "aac-stereo"]

AUTO_COPIED = {"aac"}  # what every common player and editor plays in MP4
MP4_HOLDS = {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac"}
PLAYED_AAC = {"LC", "HE-AAC", "HE-AACv2"}  # object types 2, 5 and 29 of ISO/IEC 14496-3
CODECS_WITH_HEADER = {"alac", "flac", "opus"}  # which MP4 repeats in its index


@dataclass(frozen=True, slots=True)
class AudioPolicy:
    """The audio settings of a job.

    Attributes:
        mode: auto copies AAC; copy copies all codecs that MP4 holds; aac and aac-stereo copy nothing.
        loudness_lufs: target for the integrated loudness of every stream; None leaves it unchanged.
    """

    mode: AudioMode = "auto"
    loudness_lufs: float | None = None

    @property
    def stereo(self) -> bool:
        return self.mode == "aac-stereo"

    def refusal(self, stream: AudioStream) -> str | None:
        """Return why a stream with such a header is not copied; None if it may be copied."""
        if self.mode not in ("auto", "copy"):
            return f"the audio mode is {self.mode}"
        if self.loudness_lufs is not None:
            return "a loudness is set"
        name = codec_name(stream)
        if name not in (AUTO_COPIED if self.mode == "auto" else MP4_HOLDS):
            return f"{name} in MP4 is not played everywhere" if name in MP4_HOLDS else f"MP4 does not hold {name}"
        if name == "aac" and self.mode == "auto" and not _is_among(stream.profile, PLAYED_AAC):
            return f"AAC {stream.profile} is not played everywhere"
        return None if _has_valid_header(stream) else "its header is damaged"


def _is_among(profile: str | None, names: Collection[str]) -> bool:
    return profile is None or profile in names


def _has_valid_header(stream: AudioStream) -> bool:
    """Return whether the muxer accepts the stream's header; with a damaged one it refuses the whole file."""
    if codec_name(stream) not in CODECS_WITH_HEADER:
        return True
    try:
        with av.open(io.BytesIO(), "w", format="mp4", options={"movflags": "empty_moov"}) as scratch:
            scratch.add_stream_from_template(stream)
            scratch.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True
