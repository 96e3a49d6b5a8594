"""Adapt the description of a file to its edit lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.edit_lists import EditLists
from engines.frames import AudioInfo, MediaInfo, VideoInfo
from engines.media_warnings import MediaWarning, media_warning


def as_edited(info: MediaInfo, lists: EditLists, container: InputContainer, video: VideoStream) -> MediaInfo:
    """Return the description with the lists' durations, if ``engines.edits`` applies them, and with warnings."""
    streams: list[Stream] = [video, *container.streams.audio]
    info = replace(info, warnings=(*info.warnings, *_warnings(lists, streams)))
    if not lists.are_complex:
        return info
    return replace(
        info,
        video=_video(info.video, lists, video),
        audio=tuple(_audio(audio, lists, container.streams[audio.index]) for audio in info.audio),
        duration_s=max((end for s in streams if (end := _end_s(lists, s.id)) is not None), default=info.duration_s),
    )


def _video(info: VideoInfo, lists: EditLists, stream: Stream) -> VideoInfo:
    edits = lists.of(stream.id)
    return replace(
        info,
        vfr=True,  # frames at the ends of edits are shown for a shorter time
        frames_from_header=None,
        start_pts=edits[0].start if edits else info.start_pts,
        duration_s=_length_s(lists, stream.id, info.duration_s),
    )


def _audio(info: AudioInfo, lists: EditLists, stream: Stream) -> AudioInfo:
    return replace(info, duration_s=_length_s(lists, stream.id, info.duration_s))


def _length_s(lists: EditLists, track: int, otherwise: float | None) -> float | None:
    end_s = _end_s(lists, track)
    return otherwise if end_s is None else end_s - lists.of(track)[0].start / lists.tracks[track].timescale


def _end_s(lists: EditLists, track: int) -> float | None:
    """Return the end of a track's presentation in seconds; None if it is unknown."""
    edited = lists.tracks.get(track)
    return edited.end / edited.timescale if edited and edited.end is not None and edited.timescale else None


def _warnings(lists: EditLists, streams: Sequence[Stream]) -> Iterator[MediaWarning]:
    for stream in streams:
        track = lists.tracks.get(stream.id)
        if track is not None and track.other_rates:
            yield media_warning("EDIT_SPEED_IGNORED", stream=stream.index, count=track.other_rates)
        if track is not None and track.beyond_media:
            yield media_warning("EDIT_BEYOND_MEDIA", stream=stream.index, count=track.beyond_media)
