"""Assembly: finished segments and the source's audio become the files that are delivered."""

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
from pipeline.errors import JobStopped
from pipeline.job import StopCheck
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import read_packets, tracks_path


@dataclass(frozen=True, slots=True)
class AssemblyOrder:
    """What is to be assembled."""

    work_dir: Path
    source: Path
    info: MediaInfo
    checkpoint: Checkpoint
    width: int
    height: int
    color: ColorTags
    audio: AudioPolicy
    on_stage: Callable[[str, float], None]  # "listen", "assemble" or "verify", and the seconds that it has done
    should_stop: StopCheck


@dataclass(frozen=True, slots=True)
class Assembled:
    """Files in the work directory, complete and checked.

    ``audio`` is what the source's was found to hold, ``finished`` what the video file really does.
    """

    video: Path
    tracks: Path
    audio_track: Prescan
    audio: AudioOutcome
    duration_s: float
    finished: FinishedFile


def assemble(order: AssemblyOrder) -> Assembled:
    """Make and check the files that are delivered.

    Raises:
        VerifyFailedError: the finished video is not what was rendered.
        JobStopped: asked to stop; assembly starts over next time, from the finished segments.
        DiskFullError, StorageError: the work directory cannot be written.
    """
    video, tracks = (order.work_dir / f"output.{end}" for end in ("mp4", "tracks.jsonl.gz"))
    duration_s = _duration_s(order)
    with storage_errors("assembling the output"):
        audio_track = prescan(order.source, order.info.audio, order.audio, partial(_listening, order))
        audio = _mux(order, audio_track, video)
        finished = _verify(order, video, audio.frame_lead_s)
        _join_tracks(order, tracks)
    return Assembled(video, tracks, audio_track, audio, duration_s + audio.frame_lead_s, finished)


def _span_s(order: AssemblyOrder) -> float:
    """From the first frame's pts to the last one's."""
    segments = order.checkpoint.segments
    return float((segments[-1].last_pts - segments[0].first_pts) * order.info.video.time_base)


def _duration_s(order: AssemblyOrder) -> float:
    last_duration = order.checkpoint.segments[-1].last_duration
    return _span_s(order) + float(last_duration * order.info.video.time_base)


def _mux(order: AssemblyOrder, audio_track: Prescan, video: Path) -> AudioOutcome:
    source = order.info.video
    with replacing(video) as file:
        return assemble_mp4(
            file,
            source=order.source,
            info=order.info,
            audio=audio_track,
            extradata=bytes.fromhex(order.checkpoint.extradata),
            video=_packets(order),
            time_base=source.time_base,
            width=order.width,
            height=order.height,
            color=order.color,
            fps=source.fps,
            last_duration=order.checkpoint.segments[-1].last_duration,
        )


def _listening(order: AssemblyOrder, seconds: float) -> None:
    if order.should_stop():
        raise JobStopped("the job was asked to stop while it listened to the audio")
    order.on_stage("listen", seconds)


def _packets(order: AssemblyOrder) -> Iterator[EncodedPacket]:
    first_pts = order.checkpoint.segments[0].first_pts
    for record in order.checkpoint.segments:
        if order.should_stop():
            raise JobStopped("the job was asked to stop while its output was assembled")
        order.on_stage("assemble", float((record.last_pts - first_pts) * order.info.video.time_base))
        yield from read_packets(order.work_dir / "segments", record)


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
            with tracks_path(order.work_dir / "segments", record).open("rb") as member:
                shutil.copyfileobj(member, out)
