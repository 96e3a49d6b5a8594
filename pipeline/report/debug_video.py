"""The debug video: the source with faces, people and crops drawn on it, made from the finished tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from engines.audio.prescan import Prescan
from engines.cpu.decode import PyAvDecoder
from engines.cpu.encode import X264Encoder
from engines.files import replacing
from engines.frames import EncodedPacket, Frame, FrameBatch, MediaInfo, Size
from engines.media.mux import assemble_mp4
from engines.settings import EncoderSettings
from pipeline.canvas import Placement
from pipeline.people import Row
from pipeline.rendering.frame_rate import OutputRate
from pipeline.report.overlay import draw_overlay
from pipeline.segments.tracks_file import read_tracks

MAX_PIXELS = 1920 * 1080
_PACE_FRAMES = 25
_BLACK, _GREY = 16, 128


def write_debug_video(
    out: Path,
    *,
    source: Path,
    rate: OutputRate,
    audio: Prescan,
    tracks: Path,
    last_duration: int,
    on_frames: Callable[[int, float], None],
) -> None:
    """Decode the source a second time and draw on it; slow, and only done on request.

    Raises:
        MediaError: the source cannot be decoded.
        OSError: the storage failed.
    """
    info, video = rate.info, rate.info.video
    with closing(PyAvDecoder(source, rate.source, max_surface_pixels=MAX_PIXELS)) as decoder, replacing(out) as file:
        width, height = decoder.surface_width // 2 * 2, decoder.surface_height // 2 * 2
        encoder = X264Encoder(
            width,
            height,
            time_base=video.time_base,
            fps=video.fps,
            color=decoder.color,
            settings=EncoderSettings(preset="veryfast", crf=23),
            threads=0,
        )
        assemble_mp4(
            file,
            source=source,
            info=info,
            audio=audio,
            extradata=encoder.extradata,
            video=_packets(rate.batches(decoder), encoder, (width, height), tracks, info, on_frames),
            time_base=video.time_base,
            width=width,
            height=height,
            color=decoder.color,
            fps=video.fps,
            last_duration=last_duration,
        )


def _packets(
    batches: Iterator[FrameBatch],
    encoder: X264Encoder,
    size: Size,
    tracks: Path,
    info: MediaInfo,
    on_frames: Callable[[int, float], None],
) -> Iterator[EncodedPacket]:
    for count, (frame, row) in enumerate(_shown(batches, read_tracks(tracks), info.video.time_base), start=1):
        width, height = frame.display or (info.video.width, info.video.height)
        drawn = draw_overlay(frame, row, width=width, height=height)
        yield from encoder.encode(_fitted(drawn, size))
        if count % _PACE_FRAMES == 0:
            on_frames(count, row.t)
    yield from encoder.flush()


def _shown(batches: Iterator[FrameBatch], rows: Iterator[Row], time_base: Fraction) -> Iterator[tuple[Frame, Row]]:
    """The frames that have a row; some may have been left out."""
    row, first_pts = next(rows, None), None
    for frame in (frame for batch in batches for frame in batch.frames):
        first_pts = frame.pts if first_pts is None else first_pts
        if row is not None and round(float((frame.pts - first_pts) * time_base), 6) >= row.t:
            yield frame, row
            row = next(rows, None)


def _fitted(frame: Frame, size: Size) -> Frame:
    """The frame in the encoder's one size: another one lies in it as large as fits, bars around."""
    if frame.display is None:
        return _even(frame)
    place = Placement.of(frame.display, size)
    scale = np.diag((place.scale * frame.display[0] / frame.width, place.scale * frame.display[1] / frame.height))
    y = cv2.warpAffine(frame.y, np.c_[scale, (place.x, place.y)], size, borderValue=(_BLACK,))
    half = size[0] // 2, size[1] // 2
    uv = cv2.warpAffine(frame.uv, np.c_[scale, (place.x / 2, place.y / 2)], half, borderValue=(_GREY, _GREY))
    return Frame(np.asarray(y, np.uint8), np.asarray(uv, np.uint8), frame.pts, frame.duration)


def _even(frame: Frame) -> Frame:
    """Without the last row and column of an odd frame, which 4:2:0 cannot hold."""
    height, width = frame.height // 2 * 2, frame.width // 2 * 2
    return Frame(frame.y[:height, :width], frame.uv[: height // 2, : width // 2], frame.pts, frame.duration)
