"""Assembles video and tracks from finished segments and the source's audio, and verifies the video."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engines.audio.outcome import AudioOutcome
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import Prescan, prescan
from engines.files import replacing
from engines.frames import ColorTags, EncodedPacket, MediaInfo
from engines.media.mux import assemble_mp4
from engines.media.verify import FinishedFile, verify_mp4
from pipeline.durable import storage_errors
from pipeline.interruption import Interruption
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import read_packets, tracks_path
from pipeline.workdir import WorkDir


@dataclass(frozen=True, slots=True)
class AssemblyOrder:
    """The order to assemble the output of one job.

    Attributes:
        on_stage: called with "listen", "assemble" or "verify", and the seconds of the recording that are done.
    """

    paths: WorkDir
    source: Path
    info: MediaInfo
    checkpoint: Checkpoint
    width: int
    height: int
    color: ColorTags
    audio: AudioPolicy
    on_stage: Callable[[str, float], None]
    interruption: Interruption


@dataclass(frozen=True, slots=True)
class Assembled:
    """Files in the work directory, complete and verified.

    Attributes:
        audio_scan: of the source.
        audio: outcome of the source's audio.
        finished: what the video file holds, read from the file.
    """

    video: Path
    tracks: Path
    audio_scan: Prescan
    audio: AudioOutcome
    duration_s: float
    finished: FinishedFile


def assemble(order: AssemblyOrder) -> Assembled:
    """Make and verify the video and the tracks.

    Raises:
        VerifyFailedError: the finished video does not hold what was rendered.
        JobStopped: a stop is requested; the next attempt assembles again.
        DiskFullError, StorageError: the work directory cannot be written.
    """
    video, tracks = order.paths.output("video"), order.paths.output("tracks")
    duration_s = _duration_s(order)
    with storage_errors("assembling the output"):
        audio_scan = prescan(order.source, order.info.audio, order.audio, partial(_on_scan, order))
        audio = _mux(order, audio_scan, video)
        finished = _verify(order, video, audio.frame_lead_s)
        _join_tracks(order, tracks)
    return Assembled(video, tracks, audio_scan, audio, duration_s + audio.frame_lead_s, finished)


def _span_s(order: AssemblyOrder) -> float:
    """Return the time from the first frame's pts to the last one's."""
    segments = order.checkpoint.segments
    return float((segments[-1].last_pts - segments[0].first_pts) * order.info.video.time_base)


def _duration_s(order: AssemblyOrder) -> float:
    last_duration = order.checkpoint.segments[-1].last_duration
    return _span_s(order) + float(last_duration * order.info.video.time_base)


def _mux(order: AssemblyOrder, audio_scan: Prescan, video: Path) -> AudioOutcome:
    source = order.info.video
    with replacing(video) as file:
        return assemble_mp4(
            file,
            source=order.source,
            info=order.info,
            audio=audio_scan,
            extradata=bytes.fromhex(order.checkpoint.extradata),
            video=_packets(order),
            time_base=source.time_base,
            width=order.width,
            height=order.height,
            color=order.color,
            fps=source.fps,
            last_duration=order.checkpoint.segments[-1].last_duration,
        )


def _on_scan(order: AssemblyOrder, seconds: float) -> None:
    order.interruption.check("while its audio was read")
    order.on_stage("listen", seconds)


def _packets(order: AssemblyOrder) -> Iterator[EncodedPacket]:
    first_pts = order.checkpoint.segments[0].first_pts
    for record in order.checkpoint.segments:
        order.interruption.check("while its output was assembled")
        order.on_stage("assemble", float((record.last_pts - first_pts) * order.info.video.time_base))
        yield from read_packets(order.paths.segments, record)


def _verify(order: AssemblyOrder, video: Path, lead_s: float) -> FinishedFile:
    span_s = _span_s(order) + lead_s
    order.on_stage("verify", 0.0)
    return verify_mp4(
        video,
        expected_frames=order.checkpoint.frames,
        expected_span_s=span_s,
        width=order.width,
        height=order.height,
        keyframes_only=True,  # every packet is read and counted; a full decode costs a sixth of the whole job
    )


def _join_tracks(order: AssemblyOrder, tracks: Path) -> None:
    """Concatenate the segments' gzip members: together they are one gzip file (RFC 1952, section 2.2)."""
    with replacing(tracks) as out:
        for record in order.checkpoint.segments:
            with tracks_path(order.paths.segments, record).open("rb") as member:
                shutil.copyfileobj(member, out)
