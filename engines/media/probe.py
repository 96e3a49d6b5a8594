"""Describe a file from its headers and at most one decoded frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.containers.channel_layouts import Labels, native_labels
from engines.containers.demux import PacketReader, open_media, open_with_channel_labels, pixel_limit
from engines.containers.edit_lists import read_edit_lists
from engines.containers.mp4_index import reject_oversized_index
from engines.containers.streams import codec_name
from engines.edits.info import as_edited
from engines.errors import EncryptedMediaError, StillImageError, UnsupportedCodecError
from engines.frames import AudioInfo, ColorTags, MediaInfo, VideoInfo
from engines.media.other_streams import dropped_streams, embedded_captions
from engines.media_warnings import MediaWarning, media_warning
from engines.video.color import merge_tags, peak_luminance, tags_of, with_static_metadata
from engines.video.geometry import UNKNOWN_ASPECT
from engines.video.orientation import Orientation, displayed_size, frame_orientation
from engines.video.stream_choice import choose_video

FIELD_ORDERS_INTERLACED = range(2, 6)  # AVFieldOrder TT, BB, TB, BT
DOLBY_VISION_TAGS = {"dvh1", "dvhe"}  # profile 5; 8 is hvc1 or hev1 (Dolby Vision Streams Within ISO BMFF)
ENCRYPTED_TAGS = {"encv", "drmi", "drms"}
PACKETS_TO_TRY = 8
TIMES_FROM_INDEX, TIMES_FROM_PACKETS = 4096, 240
REORDERED_AT_END = 16  # neighbours of the last packets may follow later in the file
FALLBACK_FPS, FPS_MAX = Fraction(25), 4000
FPS_GUESSED, FPS_GUESS_FACTOR = 60, Fraction(3, 2)  # a rate above both, the factor times the observed rate, is ignored
FRAMES_FOR_RATE = 12


def probe(path: Path, *, max_pixels: int = 2**26) -> MediaInfo:
    """Describe a file without decoding more than its first frame.

    Args:
        max_pixels: larger frames are not decoded; then rotation that only the frame gives, and interlacing that the
            header does not give, stay unknown (0 and False).

    Raises:
        EmptyFileError, NotMediaError, TruncatedFileError, NoVideoError, StillImageError, UnsupportedCodecError,
        EncryptedMediaError, IndexTooLargeError: why the file cannot be used.
        OSError: the storage failed.
    """
    reject_oversized_index(path)
    lists = read_edit_lists(path)
    container, labels = open_with_channel_labels(path, max_pixels=max_pixels)
    with container:
        choice = choose_video(container, path)
        stream = choice.stream
        _require_decodable(stream)
        claimed, color = _claimed_size(stream, path), tags_of(stream.codec_context)
        _reject_single_frame_formats(container, stream, path)
        stream.codec_context.options = pixel_limit(max_pixels)
        frame = _first_frame(container, stream) if claimed[0] * claimed[1] <= max_pixels else None
        size = (frame.width, frame.height) if frame else claimed
        info = MediaInfo(
            container=container.format.name,
            bytes=path.stat().st_size,
            duration_s=_container_duration(container, stream),
            video=replace(
                _video_info(stream, frame, size, color, _times(stream, path), max_pixels),
                chosen_because=choice.reason,
            ),
            audio=tuple(_audio_info(s, labels.get(s.index)) for s in container.streams.audio),
            warnings=(
                *choice.warnings,
                *dropped_streams(container),
                *embedded_captions(frame, stream.index),
                *_color_warnings(stream),
            ),
        )
        return as_edited(info, lists, container, stream)


def _require_decodable(stream: VideoStream) -> None:
    context: CodecContext | None = stream.codec_context
    if context is None:
        raise UnsupportedCodecError("The video is stored in a format for which there is no decoder here.")
    if _tag(context) in ENCRYPTED_TAGS or "enc_key_id" in {k.lower() for k in stream.metadata}:
        raise EncryptedMediaError("The video is encrypted.")


def _claimed_size(stream: VideoStream, path: Path) -> tuple[int, int]:
    """Return the size of stored frames; if a codec refused a large size, read it without decoding.

    Raises:
        UnsupportedCodecError: the size is unknown.
    """
    context = stream.codec_context
    if context.width > 0 and context.height > 0:
        return context.width, context.height
    with open_media(path, decode=False) as again:
        undecoded = again.streams[stream.index].codec_context
        if isinstance(undecoded, VideoCodecContext) and undecoded.width > 0 and undecoded.height > 0:
            return undecoded.width, undecoded.height
    raise UnsupportedCodecError(f"Nothing in the file says how large the {context.name} frames are.")


def _reject_single_frame_formats(container: InputContainer, stream: VideoStream, path: Path) -> None:
    if container.format.name not in ("gif", "apng"):
        return
    with open_media(path) as again:
        packets = islice(PacketReader(again, [again.streams[stream.index]]), 2)
        if len(list(packets)) < 2:
            raise StillImageError("The file is a still image.")


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """Decode packets one by one, without threads, until there is a frame; return None if there is none."""
    stream.codec_context.thread_count = 1
    packets = PacketReader(container, [stream])
    for packet in islice(packets, PACKETS_TO_TRY):
        if packet.has_sidedata("encryption_info"):
            raise EncryptedMediaError("The video is encrypted.")
        try:
            frames = [*stream.decode(packet), *stream.decode(None)]
        except av.FFmpegError:
            frames = []
        if frames:
            return frames[0]
        stream.codec_context.flush_buffers()
    return None


def _video_info(
    stream: VideoStream,
    frame: VideoFrame | None,
    coded: tuple[int, int],
    color: ColorTags,
    times: list[int],
    max_pixels: int,
) -> VideoInfo:
    """Return the description of the video; ``color`` is the container's, which the frame's tags override."""
    context = stream.codec_context
    orientation = (frame_orientation(frame) if frame else None) or Orientation()
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = displayed_size(*coded, aspect, orientation)
    pixel_format = frame.format if frame else context.format
    time_base = stream.time_base or Fraction(1, 90_000)
    return VideoInfo(
        codec=context.codec.canonical_name,
        coded_width=coded[0],
        coded_height=coded[1],
        width=width,
        height=height,
        pix_fmt=pixel_format.name if pixel_format else "unknown",
        bit_depth=max((c.bits for c in pixel_format.components), default=8) if pixel_format else 8,
        fps=_frame_rate(stream, _seen_rate(times, time_base)),
        vfr=_is_vfr(times, stream),
        frames_from_header=stream.frames or None,
        rotation_deg=orientation.clockwise_deg,
        sample_aspect=aspect,
        interlaced=context.field_order in FIELD_ORDERS_INTERLACED or bool(frame and frame.interlaced_frame),
        time_base=time_base,
        start_pts=_start_pts(times, stream),
        duration_s=_seconds(stream.duration, time_base),
        color=with_static_metadata(merge_tags(tags_of(frame), color), frame) if frame else color,
        mirrored=orientation.mirrored,
        coded_aspect=context.sample_aspect_ratio if frame else UNKNOWN_ASPECT,
        peak_cd_m2=peak_luminance(frame) if frame else None,
        max_pixels=max_pixels,
        index=stream.index,
    )


def _frame_rate(stream: VideoStream, seen: Fraction | None) -> Fraction:
    """Return the mean rate of the container or FFmpeg's guess, unless it is far above that of the first frames.

    For WebM that browsers write, FFmpeg guesses 1000 frames a second. An index of all frames is no guess.
    """
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    if not rate or not 0 < rate <= FPS_MAX:
        return seen or FALLBACK_FPS
    if seen is None or stream.frames or rate <= max(Fraction(FPS_GUESSED), FPS_GUESS_FACTOR * seen):
        return rate
    return seen


def _seen_rate(times: list[int], time_base: Fraction) -> Fraction | None:
    """Return the mean rate of the frames whose times were read."""
    if len(times) < FRAMES_FOR_RATE or times[-1] <= times[0]:
        return None
    rate = (len(times) - 1) / ((times[-1] - times[0]) * time_base)
    return rate.limit_denominator(1001) if rate <= FPS_MAX else None


def _start_pts(times: list[int], stream: VideoStream) -> int:
    """Return the first frame's presentation time; the times of an index are decoding times."""
    return times[0] if times and not stream.frames else stream.start_time or 0


def _times(stream: VideoStream, path: Path) -> list[int]:
    """Return the times of the first frames in order: from the index if it is complete, else from packets."""
    entries = stream.index_entries
    if stream.frames and len(entries) == stream.frames:
        return [entries[i].timestamp for i in range(min(len(entries), TIMES_FROM_INDEX))]
    with open_media(path) as again:
        packets = islice(PacketReader(again, [again.streams[stream.index]]), TIMES_FROM_PACKETS)
        times = sorted(p.pts for p in packets if p.pts is not None)
    return times[:-REORDERED_AT_END] if len(times) == TIMES_FROM_PACKETS else times


def _is_vfr(times: list[int], stream: VideoStream) -> bool:
    """Return whether frame distances differ by more than rounding; without times, whether the header's rates do."""
    steps = {b - a for a, b in pairwise(times)}
    if steps:
        return max(steps) - min(steps) > max(1, 0.02 * max(steps))
    mean, lowest = stream.average_rate, stream.base_rate
    return bool(mean and lowest and abs(mean - lowest) > lowest / 100)


def _color_warnings(stream: VideoStream) -> tuple[MediaWarning, ...]:
    """Return a warning for Dolby Vision profile 5; other profiles have a base layer with its own tags."""
    if _tag(stream.codec_context) in DOLBY_VISION_TAGS:
        return (media_warning("DOLBY_VISION_NO_BASE", stream=stream.index),)
    return ()


def _audio_info(stream: AudioStream, custom_order: Labels | None) -> AudioInfo:
    context = stream.codec_context  # None where no decoder knows the codec
    return AudioInfo(
        index=stream.index,
        codec=codec_name(stream),
        sample_rate=context.sample_rate if context else 0,
        channels=context.channels if context else 0,
        duration_s=_seconds(stream.duration, stream.time_base),
        language=None if stream.language == "und" else stream.language,
        channel_labels=custom_order or native_labels(stream),
    )


def _container_duration(container: InputContainer, stream: Stream) -> float | None:
    if container.duration:
        return container.duration / av.time_base
    return _seconds(stream.duration, stream.time_base)


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return float(ticks * time_base) if ticks and time_base else None


def _tag(context: CodecContext) -> str:
    try:
        return context.codec_tag
    except UnicodeDecodeError:
        return ""
