"""Write the finished MP4: the video packets of all segments, and audio, subtitles and tags of the source."""

from __future__ import annotations

import heapq
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain, pairwise
from math import floor
from pathlib import Path
from typing import IO, cast

import av
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from engines.audio.aligner import TOLERANCE_S
from engines.audio.outcome import AudioOutcome
from engines.audio.output import AudioOutput
from engines.audio.prescan import Prescan
from engines.containers.demux import open_media
from engines.errors import EncodeFailedError
from engines.frames import ColorTags, EncodedPacket, MediaInfo
from engines.metadata.subtitles import SubtitleOutput
from engines.metadata.tags import copy_metadata
from engines.video.timeline import step_ticks

TAIL_PACKETS = 64  # held back until the durations of the last frames are known
MOVIE_TIMESCALE_MAX = 10_000_000
HEVC_VPS = 32  # nal_unit_type
_ENCODERS = {"h264": "libx264", "hevc": "libx265"}


@dataclass(frozen=True, slots=True)
class _VideoTrack:
    """Parameters of the video stream."""

    width: int
    height: int
    time_base: Fraction
    fps: Fraction
    color: ColorTags
    extradata: bytes

    @property
    def codec(self) -> str:
        """The encoder's headers begin with HEVC's VPS or with H.264's SPS."""
        kind = self.extradata.lstrip(b"\x00")[1:2] or b"\x00"
        return "hevc" if kind[0] >> 1 & 63 == HEVC_VPS else "h264"

    @property
    def step(self) -> int:
        return step_ticks(self.fps, self.time_base)


def assemble_mp4(
    out: IO[bytes],
    *,
    source: Path,
    info: MediaInfo,
    audio: Prescan,
    extradata: bytes,
    video: Iterable[EncodedPacket],
    time_base: Fraction,
    width: int,
    height: int,
    color: ColorTags,
    fps: Fraction,
    last_duration: int,
) -> AudioOutcome:
    """Write an MP4 whose index comes first.

    All streams keep the source's timeline, less one common origin: the start of the first of them. A frame's time
    differs from the source's by exactly that origin, in the same time base; if audio begins before the first frame,
    that frame is shown from the start. No stream needs an edit list: composition times may be negative, the audio
    codec's priming is left out, and gaps in the audio are filled. Memory does not grow with length.

    Args:
        out: an empty file; its contents are complete when this returns, but not synced to disk.
        source: the file with the audio, the subtitles and the tags; ``info`` is what ``probe`` returned for it,
            ``audio`` what ``prescan`` returned.
        extradata: the encoder's parameter sets.
        video: packets in decoding order; every segment starts with a keyframe and is later than those before.
        time_base: of the packets, equal to the source's.
        last_duration: duration of the last frame in ticks.

    After any error, also one that ``video`` raises, the file is unusable and ``out`` no longer refers to it.

    Raises:
        EncodeFailedError: there is no video packet, or the packets' order makes no valid stream.
        OSError: the storage failed.
    """
    track = _VideoTrack(width, height, time_base, fps, color, extradata)
    packets = iter(video)
    first = next(packets, None)
    if first is None:
        raise EncodeFailedError("There is no frame to write.")
    with open_media(source) as container, _open_output(out, track) as output:
        origin_ticks = _origin_ticks(first.pts, track.time_base, audio)
        origin, lead_s = origin_ticks * track.time_base, (first.pts - origin_ticks) * track.time_base
        first = replace(first, pts=origin_ticks)
        stream = _add_video(output, track)
        audio_output = AudioOutput(source, container, audio, output, origin)
        chosen = cast(VideoStream, container.streams[info.video.index])
        described = copy_metadata(source, container, output, video=chosen, target=stream, origin=origin, fps=track.fps)
        subtitles = SubtitleOutput(source, container, output, origin)
        depth = reorder_depth(track.extradata, first, track.codec)
        ordered = decoding_times(chain([first], packets), depth, track.step)
        frames = _video_packets(ordered, stream, track, origin_ticks, last_duration)
        refused = _interleave(output, frames, audio_output.packets(), subtitles.packets())
        refused += not _accepted(output.close)
    if refused and not audio_output.outcome.streams and subtitles.is_empty:
        raise EncodeFailedError(f"MP4 does not take {refused} of the encoder's packets.")
    outcome = audio_output.outcome
    warnings = (*outcome.warnings, *described, *subtitles.warnings)
    return replace(outcome, refused_packets=refused, warnings=warnings, frame_lead_s=float(lead_s))


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """An encoded frame with the time at which it must be decoded, in the same ticks as its pts."""

    packet: EncodedPacket
    dts: int


def decoding_times(packets: Iterable[EncodedPacket], depth: int, step: int) -> Iterator[TimedPacket]:
    """Give packets in decoding order rising decoding times, none later than the packet's pts.

    The n-th packet is decoded when the (n - depth)-th frame is shown, the first ones ``step`` ticks apart before
    that. If at most ``depth`` earlier packets are shown later (``max_num_reorder_frames`` of H.264), that is
    always in time, however unevenly the frames are spaced.
    """
    shown: list[int] = []
    start: int | None = None
    last: int | None = None
    for number, packet in enumerate(packets):
        heapq.heappush(shown, packet.pts)
        start = packet.pts if start is None else start
        dts = start - (depth - number) * step if number < depth else heapq.heappop(shown)
        if dts > packet.pts or (last is not None and dts <= last):
            raise EncodeFailedError(f"The encoder reorders frames more deeply than its header says ({depth}).")
        last = dts
        yield TimedPacket(packet, dts)


def reorder_depth(extradata: bytes, keyframe: EncodedPacket, codec: str = "h264") -> int:
    """Return how many frames may precede one in decoding order and follow it in time, by the parameter sets.

    A decoder reports it only after it has decoded a frame that uses them.
    """
    context = CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = extradata
    context.thread_count = 1
    context.open()
    context.decode(Packet(keyframe.data))
    return int(context.reorder_depth)


@contextmanager
def _open_output(out: IO[bytes], track: _VideoTrack) -> Iterator[OutputContainer]:
    """Open an MP4 that the caller fills and closes.

    FFmpeg opens it by its descriptor, also when it moves the index to the front, because another file may have its
    name by then. Edit lists count in the movie's time scale: a fine one keeps the offset between audio and video exact.
    Reordered frames are not delayed: some players ignore the edit list that compensates for that, and show them late.
    """
    scale = track.time_base.denominator
    while scale < 10_000:
        scale *= 2
    options = {"movflags": "+faststart+negative_cts_offsets", "movie_timescale": str(min(scale, MOVIE_TIMESCALE_MAX))}
    output = av.open(f"file:/proc/self/fd/{out.fileno()}", "w", format="mp4", options=options)
    try:
        yield output
    except BaseException:
        _redirect_to_null(out)  # before closing, which would rewrite gigabytes to move the index to the front
        with suppress(av.FFmpegError):
            output.close()
        raise


def _redirect_to_null(file: IO[bytes]) -> None:
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), file.fileno(), inheritable=False)


def _add_video(output: OutputContainer, track: _VideoTrack) -> VideoStream:
    """Add a stream for encoded packets; with a template no encoder is opened."""
    with av.open(io.BytesIO(), "w", format="mp4") as scratch:
        template = scratch.add_stream(_ENCODERS[track.codec], rate=track.fps, width=track.width, height=track.height)
        assert isinstance(template, VideoStream)
        stream = output.add_stream_from_template(template, opaque=True)
    context = stream.codec_context
    context.extradata = track.extradata
    context.framerate = track.fps
    if track.codec == "hevc":
        context.codec_tag = "hvc1"  # the only tag that QuickTime plays
    context.color_primaries, context.color_trc = track.color.primaries, track.color.transfer
    context.colorspace, context.color_range = track.color.matrix, 2 if track.color.full_range else 1
    stream.time_base = track.time_base
    return stream


def _origin_ticks(first_pts: int, time_base: Fraction, audio: Prescan) -> int:
    """Return the earliest start of any stream, in whole ticks of the video's time base.

    Audio that begins less than a packet before the video does not count: the first frame would last longer for it.
    """
    starts = [floor(start / time_base) for start in audio.starts_s() if first_pts * time_base - start > TOLERANCE_S]
    return min([first_pts, *starts])


def _video_packets(
    timed: Iterable[TimedPacket], stream: VideoStream, track: _VideoTrack, origin_ticks: int, last_duration: int
) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    tail: deque[TimedPacket] = deque()
    for item in timed:
        tail.append(item)
        if len(tail) > TAIL_PACKETS:
            yield _as_packet(tail.popleft(), stream, track, origin_ticks, track.step)
    shown = sorted(item.packet.pts for item in tail)
    durations = {a: b - a for a, b in pairwise(shown)} | {shown[-1]: last_duration}
    for item in tail:
        yield _as_packet(item, stream, track, origin_ticks, durations[item.packet.pts])


def _as_packet(
    item: TimedPacket, stream: VideoStream, track: _VideoTrack, origin_ticks: int, duration: int
) -> tuple[Fraction, Packet[Stream]]:
    packet: Packet[Stream] = Packet(item.packet.data)
    packet.stream = stream
    packet.time_base = track.time_base
    packet.pts, packet.dts = item.packet.pts - origin_ticks, item.dts - origin_ticks
    packet.duration = duration
    packet.is_keyframe = item.packet.is_keyframe
    return packet.dts * track.time_base, packet


def _interleave(output: OutputContainer, *streams: Iterator[tuple[Fraction, Packet[Stream]]]) -> int:
    """Write all packets in order of time; return how many the muxer refused.

    The muxer refuses damaged audio when it writes it, possibly some packets later. Frames come from our own encoder;
    verification would find one missing if it were refused.
    """
    packets = (packet for _, packet in heapq.merge(*streams, key=lambda timed: timed[0]))
    return sum(not _accepted(partial(output.mux, packet)) for packet in packets)


def _accepted(write: Callable[[], None]) -> bool:
    try:
        write()
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        return False
    return True
