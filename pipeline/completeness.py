"""The last comparison before delivery: what came in against what is to go out."""

from __future__ import annotations

from engines.cpu.audio import AudioOutcome
from engines.frames import MediaInfo
from engines.media_warnings import MediaWarning, media_warning


def warnings_of(
    info: MediaInfo, audio: AudioOutcome, rendering: tuple[MediaWarning, ...] = ()
) -> tuple[MediaWarning, ...]:
    """Everything of the source that the result lacks or holds in another way, as far as each step has noticed it."""
    dropped = (
        media_warning("AUDIO_STREAM_DROPPED", stream=stream.index, codec=stream.codec)
        for stream in audio.streams
        if stream.mode == "dropped"
    )
    return (*info.warnings, *rendering, *audio.warnings, *dropped)
