"""Copy a file's tags, chapters and timecode, and each track's language and disposition, into an MP4.

The tags are those of iTunes metadata, and the location of the recording. FFmpeg can store others, such as the camera's
make and model, only instead of these, in a form that few programs read; they are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.streams import STILL_IMAGES
from engines.media_warnings import MediaWarning, media_warning
from engines.metadata.timecode import has_timecode, timecode_at

TAGS = (
    "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping",
    "lyrics", "description", "synopsis", "show", "network", "keywords", "track", "creation_time", "location",
)  # fmt: skip
# Names of the same tags in other containers, the most exact first.
OTHER_NAMES = {
    "artist": ("author",),
    "date": ("creationdate", "date_recorded", "date_released"),
    "location": ("location.iso6709", "location-eng"),
    "creation_time": ("modification_date",),
    "comment": ("comments",),
}
_DEGREES = re.compile(r"[+-]\d{1,2}(\.\d*)?[+-]\d{1,3}(\.\d*)?(?![\d.])")  # ISO 6709, annex H
_APPLE = "com.apple.quicktime."


def copy_metadata(
    path: Path,
    source: InputContainer,
    output: OutputContainer,
    *,
    video: VideoStream,
    target: Stream,
    origin: Fraction,
    fps: Fraction,
) -> tuple[MediaWarning, ...]:
    """Copy tags, chapters and timecode; return warnings about what was not kept.

    Args:
        path, source: the source's path, and the same file, open.
        video, target: the chosen stream of the source, and the output's stream with rate ``fps``.
        origin: start of the output, in seconds of the source.
    """
    output.metadata.update(tags_of(source.metadata))
    if "creation_time" in video.metadata:
        output.metadata.setdefault("creation_time", video.metadata["creation_time"])
    _copy_chapters(source, output, origin)
    if not has_timecode(source, video):
        return ()
    timecode = timecode_at(path, source, video, origin, fps)
    if timecode is None:
        return (media_warning("TIMECODE_DROPPED", stream=video.index),)
    target.metadata["timecode"] = timecode
    return ()


def tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that MP4 holds, by FFmpeg's names for them."""
    known = {key.lower().removeprefix(_APPLE): value for key, value in metadata.items()}
    found = {}
    for tag in TAGS:
        values = (known[name] for name in (tag, *OTHER_NAMES.get(tag, ())) if known.get(name))
        if value := next(values, None):
            found[tag] = value
    if not _DEGREES.match(found.get("location", "")):
        found.pop("location", None)  # FFmpeg would write 0, 0
    return found


def copy_track_metadata(source: Stream, target: Stream) -> None:
    """Copy a track's language, title and disposition ("default", "commentary", ...)."""
    for key in ("language", "title"):
        if source.metadata.get(key):
            target.metadata[key] = source.metadata[key]
    target.disposition = source.disposition & ~STILL_IMAGES


def _copy_chapters(source: InputContainer, output: OutputContainer, origin: Fraction) -> None:
    chapters = source.chapters()
    for chapter in chapters:
        shift = round(origin / (chapter["time_base"] or Fraction(1)))
        chapter["start"], chapter["end"] = max(0, chapter["start"] - shift), chapter["end"] - shift
    kept = [chapter for chapter in chapters if chapter["end"] > 0]
    if kept:
        output.set_chapters(kept)
