"""The outcome of a recording's audio, for the report and for the comparison before delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engines.audio.loudness import Loudness
from engines.containers.survey import StreamSurvey
from engines.media_warnings import MediaWarning

Mode = Literal["copied", "transcoded", "dropped"]


@dataclass(slots=True)
class AudioStreamOutcome:
    """One audio stream of the output, or one of the source that is not in it.

    Attributes:
        index: of the stream in the source; of the first one where several are mixed.
        mode: "dropped" means that there is no decoder, or that there are too many streams.
        packets: number of written packets.
        skipped_packets: number of damaged packets of the source.
        sources: all streams of the source that it contains.
        channels, layout: of the output.
        rule: how channels were mapped, a rule of ``engines.audio.channel_mapping``.
        gain_db: gain of a mix that keeps it from clipping.
        reason: why the stream was not copied.
        loudness: of the output; None if it is too short or silent.
    """

    index: int
    codec: str
    mode: Mode
    output_codec: str | None = None
    packets: int = 0
    skipped_packets: int = 0
    sources: tuple[int, ...] = ()
    channels: int | None = None
    layout: str | None = None
    rule: str | None = None
    gain_db: float | None = None
    reason: str | None = None
    loudness: Loudness | None = None


@dataclass(frozen=True, slots=True)
class AudioOutcome:
    """The outcome of all audio streams. ``mode`` is "transcoded" if at least one stream was.

    Attributes:
        streams: those of the output in its order, then the dropped ones.
        refused_packets: number of damaged packets that only the muxer refused.
        read: the packets that the source really holds, by stream index, on the output's timeline.
        frame_lead_s: how much longer the first frame is shown because audio begins before it.
    """

    streams: tuple[AudioStreamOutcome, ...] = ()
    refused_packets: int = 0
    read: Mapping[int, StreamSurvey] = field(default_factory=dict)
    warnings: tuple[MediaWarning, ...] = ()
    frame_lead_s: float = 0.0

    @property
    def mode(self) -> Literal["copied", "transcoded", "none"]:
        modes = {stream.mode for stream in self.streams} - {"dropped"}
        if not modes:
            return "none"
        return "transcoded" if "transcoded" in modes else "copied"

    @property
    def skipped_packets(self) -> int:
        """Number of all damaged packets that were left out."""
        return self.refused_packets + sum(stream.skipped_packets for stream in self.streams)

    @property
    def loudness(self) -> Loudness | None:
        """Loudness of the first audio stream, which players choose."""
        return next((stream.loudness for stream in self.streams if stream.mode != "dropped"), None)
