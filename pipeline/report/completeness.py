"""Compares source and output before delivery, and warns of what the output lacks.

Differences without a warning are within the limits below: that is what ``succeeded`` without warnings promises. The
comparison uses the packets that were read back from the finished file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engines.audio.outcome import AudioStreamOutcome
from engines.containers.survey import NEARBY_S, StreamSurvey, merged
from engines.frames import MediaInfo
from engines.media_warnings import MediaWarning, media_warning
from pipeline.segments.assemble import Assembled
from pipeline.segments.checkpoint import Checkpoint

# Differences between source and output, or audio and video, from which there is a warning.
EDGE_S = 1.0  # recorders start and stop their streams up to half a second apart; from here on people notice it
WRITTEN_S = 0.25  # audio that is missing in the output: an AAC frame at 8 kHz lasts 0.128 s, two may be lost
DECLARED_SHARE = 0.01  # headers assume average frame durations, which differ with a variable rate ...
DECLARED_S = 1.0  # ... and are rounded, or include the longer of two streams
DECLARING = {"matroska,webm", "flv", "avi", "asf", "nut"}  # containers whose header has one length for all streams
# The least gap in audio is engines.containers.survey.GAP_S. Damage always counts; spans within NEARBY_S are one.


def warnings_of(
    info: MediaInfo, checkpoint: Checkpoint, assembled: Assembled, rendering: tuple[MediaWarning, ...] = ()
) -> tuple[MediaWarning, ...]:
    """Return warnings for all of the source that the output lacks or holds in another form."""
    comparison = _Comparison(info, checkpoint, assembled)
    return (*info.warnings, *rendering, *assembled.audio.warnings, *comparison.video(), *comparison.audio())


@dataclass(frozen=True, slots=True)
class _Comparison:
    info: MediaInfo
    checkpoint: Checkpoint
    assembled: Assembled

    @property
    def _frame_s(self) -> float:
        """Time of the source's first frame in the output; if audio begins earlier, the frame is shown before that."""
        return (self.assembled.finished.video.first_s or 0.0) + self.assembled.audio.frame_lead_s

    def video(self) -> Iterator[MediaWarning]:
        yield from self._damage()
        video = self.assembled.finished.video
        if self.checkpoint.counters.truncated:
            missing = _missing(video, self.info.video.duration_s or self._declared_end_s())
            yield media_warning("SOURCE_TRUNCATED", from_s=video.end_s if missing else None, to_s=missing)
        elif missing := self._less_than_declared():
            yield media_warning("VIDEO_SHORTER_THAN_DECLARED", from_s=video.end_s, to_s=missing)

    def _less_than_declared(self) -> float | None:
        """Return until when there should be frames by the header, if they end before."""
        finished, declared_s = self.assembled.finished, self.info.video.duration_s
        if declared_s is not None:
            return _missing(finished.video, declared_s)
        if self.info.container not in DECLARING:
            return None
        missing = [_missing(stream, self._declared_end_s()) for stream in (finished.video, *finished.audio)]
        return missing[0] if all(missing) else None

    def _declared_end_s(self) -> float | None:
        """Return when all streams end by the header, whose clock may begin before the first frame."""
        begin_s = float(self.checkpoint.segments[0].first_pts * self.info.video.time_base) - self._frame_s
        return None if self.info.duration_s is None else self.info.duration_s - max(0.0, begin_s)

    def _damage(self) -> Iterator[MediaWarning]:
        """Warn where other frames stand in for undecodable ones."""
        segments, tick_s = self.checkpoint.segments, float(self.info.video.time_base)
        begin_s = self._frame_s - segments[0].first_pts * tick_s
        lost = [(begin_s + first * tick_s, begin_s + end * tick_s) for s in segments for first, end in s.lost]
        for from_s, to_s in merged(lost, NEARBY_S):
            yield media_warning("VIDEO_DAMAGED", from_s=from_s, to_s=to_s)

    def audio(self) -> Iterator[MediaWarning]:
        kept = [stream for stream in self.assembled.audio.streams if stream.mode != "dropped"]
        for stream in self.assembled.audio.streams:
            if stream.mode == "dropped":
                yield media_warning("AUDIO_STREAM_DROPPED", stream=stream.index, codec=stream.codec)
        finished = self.assembled.finished.audio
        for place, stream in enumerate(kept):
            written = finished[place] if place < len(finished) else StreamSurvey()
            yield from self._stream(stream, self.assembled.audio.read[stream.index], written)
        if self.assembled.audio.refused_packets:
            yield media_warning("AUDIO_REFUSED", count=self.assembled.audio.refused_packets)

    def _stream(self, stream: AudioStreamOutcome, read: StreamSurvey, written: StreamSurvey) -> Iterator[MediaWarning]:
        if not written.packets:
            yield media_warning("AUDIO_STREAM_EMPTY", stream=stream.index, codec=stream.codec)
            return
        if len(stream.sources) > 1:
            return  # each of them is compared in its own stream
        for from_s, to_s in read.lost:
            yield media_warning("AUDIO_DAMAGED", stream=stream.index, from_s=from_s, to_s=to_s)
        for from_s, to_s in merged(read.gaps, NEARBY_S):
            yield media_warning("AUDIO_GAP", stream=stream.index, from_s=from_s, to_s=to_s)
        yield from _not_written(stream.index, read, written)
        yield from self._edges(stream.index, read)
        declared_s = next((a.duration_s for a in self.info.audio if a.index == stream.index), None)
        if (missing := _missing(read, declared_s)) and not self.checkpoint.counters.truncated:
            yield media_warning("AUDIO_SHORTER_THAN_DECLARED", stream=stream.index, from_s=read.end_s, to_s=missing)

    def _edges(self, index: int, read: StreamSurvey) -> Iterator[MediaWarning]:
        """Warn where the recording itself has audio without video, or video without audio."""
        video = self.assembled.finished.video
        for code, from_s, to_s in (
            ("AUDIO_STARTS_LATE", self._frame_s, read.first_s),
            ("VIDEO_STARTS_LATE", read.first_s, self._frame_s),
            ("AUDIO_ENDS_EARLY", read.end_s, video.end_s),
            ("VIDEO_ENDS_EARLY", video.end_s, read.end_s),
        ):
            if from_s is not None and to_s is not None and to_s - from_s > EDGE_S:
                yield media_warning(code, stream=index, from_s=from_s, to_s=to_s)


def _missing(found: StreamSurvey, declared_s: float | None) -> float | None:
    """Return until when the stream should last by its header, if it is much shorter; else None."""
    if declared_s is None or found.first_s is None:
        return None
    is_short = declared_s - found.length_s > max(DECLARED_S, DECLARED_SHARE * declared_s)
    return found.first_s + declared_s if is_short else None


def _not_written(index: int, read: StreamSurvey, written: StreamSurvey) -> Iterator[MediaWarning]:
    """Warn of audio that was read and is not in the output, unless it is damaged."""
    edges = ((read.first_s, written.first_s), (written.end_s, read.end_s))
    for from_s, to_s in edges:
        if from_s is None or to_s is None:
            continue
        lost_s = sum(max(0.0, min(end, to_s) - max(begin, from_s)) for begin, end in read.lost)
        if to_s - max(from_s, 0.0) - lost_s > WRITTEN_S:
            yield media_warning("AUDIO_INCOMPLETE", stream=index, from_s=max(from_s, 0.0), to_s=to_s)
