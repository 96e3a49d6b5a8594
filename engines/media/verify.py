"""Verify a finished file before it is delivered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.demux import PacketReader, only_video, open_media
from engines.containers.survey import StreamSurvey
from engines.errors import EngineError, MediaError

TOLERANCE_S = 0.005
KINDS = ("video", "audio", "subtitle")


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """The contents of a finished file: its video stream, and its audio and subtitle streams in order."""

    video: StreamSurvey
    audio: tuple[StreamSurvey, ...]
    subtitles: tuple[StreamSurvey, ...]


class VerifyFailedError(EngineError):
    """The finished file is not as expected."""

    code = "VERIFICATION_FAILED"
    remedy = "The finished video did not pass its check and was not delivered. Retry the file."
    retryable = True


def verify_mp4(
    path: Path,
    *,
    expected_frames: int,
    expected_span_s: float,
    width: int,
    height: int,
    keyframes_only: bool = False,
    threads: int = 0,
) -> FinishedFile:
    """Read a finished file to its end, all streams in one pass, and decode its video.

    Args:
        expected_span_s: from the first frame's pts to the last one's.
        keyframes_only: decode only the keyframes and the last group of frames, about a tenth of the work; all
            packets are read and counted in any case.

    Returns:
        The contents of the file, for a comparison with the source.

    Raises:
        VerifyFailedError: what is wrong with the file.
        OSError: the storage failed.
    """
    try:
        survey = _survey(path, width, height)
    except MediaError as error:
        raise VerifyFailedError(f"The finished file is wrong: {error.message}") from error
    _require(len(survey.pts) == expected_frames, f"it holds {len(survey.pts)} frames instead of {expected_frames}")
    _check_times(survey, expected_span_s)
    decoded = _decode(path, survey, threads, keyframes_only=keyframes_only)
    wanted = survey.decodable(keyframes_only)
    _require(decoded == wanted, f"{decoded} of {wanted} frames could be decoded")
    return survey.finished()


@dataclass(slots=True)
class _Survey:
    """All packets of a file: times of the frames in decoding order, numbers of the keyframes, and all streams."""

    time_base: Fraction
    streams: dict[int, tuple[str, StreamSurvey]]
    pts: list[int] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)

    def add(self, packet: Packet[Stream]) -> None:
        _require(packet.pts is not None and packet.size > 0, "a frame has no time or no data")
        assert packet.pts is not None
        self.pts.append(packet.pts)

    def finished(self) -> FinishedFile:
        video, audio, subtitles = ([s for t, s in self.streams.values() if t == kind] for kind in KINDS)
        return FinishedFile(video[0], tuple(audio), tuple(subtitles))

    def decodable(self, keyframes_only: bool) -> int:
        """Return the number of frames that a complete or a short decoding must give."""
        if not keyframes_only:
            return len(self.pts)
        return len(self.keyframes) - 1 + len(self.pts) - self.keyframes[-1]


def _survey(path: Path, width: int, height: int) -> _Survey:
    with open_media(path) as container:
        stream = only_video(container)
        size = (stream.codec_context.width, stream.codec_context.height)
        _require(size == (width, height), f"its frames are {size[0]}x{size[1]}, not {width}x{height}")
        streams = [s for s in container.streams if s.type in KINDS and (s.type != "video" or s is stream)]
        survey = _Survey(stream.time_base or Fraction(1), {s.index: (s.type, StreamSurvey()) for s in streams})
        reader = PacketReader(container, streams)
        for packet in reader:
            survey.streams[packet.stream_index][1].add(packet)
            if packet.stream_index == stream.index:
                survey.add(packet)
        # The index says which frames must be keyframes: a damaged packet may no longer look like one.
        survey.keyframes = [number for number, entry in enumerate(stream.index_entries) if entry.is_keyframe]
    _require(not reader.errors, "it cannot be read to the end")
    _require(bool(survey.keyframes) and survey.keyframes[0] == 0, "it does not begin with a keyframe")
    return survey


def _check_times(survey: _Survey, expected_span_s: float) -> None:
    shown = [float(pts * survey.time_base) for pts in sorted(survey.pts)]
    steps_s = [b - a for a, b in pairwise(shown)]
    _require(all(step > 0 for step in steps_s), "two frames have the same time")
    span_s = shown[-1] - shown[0]
    _require(
        abs(span_s - expected_span_s) <= TOLERANCE_S,
        f"its frames span {span_s:.3f} s instead of {expected_span_s:.3f} s",
    )


def _decode(path: Path, survey: _Survey, threads: int, *, keyframes_only: bool) -> int:
    """Return the number of frames that decode without damage."""
    last_group = survey.keyframes[-1]
    wanted = set(survey.keyframes)
    with open_media(path) as container:
        stream = only_video(container)
        stream.codec_context.thread_type, stream.codec_context.thread_count = "AUTO", threads
        # These frames are not shown: errors are found without the deblocking filter as well, and faster.
        stream.codec_context.options = {"err_detect": "explode", "skip_loop_filter": "all"}
        packets: Iterable[Packet[Stream]] = PacketReader(container, [stream])
        if keyframes_only:
            packets = (p for n, p in enumerate(packets) if n >= last_group or n in wanted)
        try:
            return sum(_intact_frames(stream, packet) for packet in packets) + _intact_frames(stream, None)
        except av.FFmpegError as error:
            raise VerifyFailedError(f"The finished file does not decode: {error.strerror}.") from error


def _intact_frames(stream: VideoStream, packet: Packet[Stream] | None) -> int:
    return sum(not frame.is_corrupt for frame in stream.decode(packet))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise VerifyFailedError(f"The finished file is wrong: {otherwise}.")
