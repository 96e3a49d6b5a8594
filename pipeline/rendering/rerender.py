"""Renders finished segments again whose tiles are to show something else; the others stay.

That is so after a correction, and for what was rendered before a person was seen for the first time (``first_sight``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from engines.frames import Frame
from engines.protocols import Decoder, Encoder
from pipeline.identity.statistics import IdentityRecord
from pipeline.people import Row
from pipeline.rendering.first_sight import FirstSights
from pipeline.rendering.stage import Stage
from pipeline.rendering.stream import StreamJob
from pipeline.rendering.tile_renderer import TileRenderer
from pipeline.segments import segment as segments
from pipeline.segments.segment import SegmentRecord, SegmentWriter

_DEPTH = 16
_BATCH = 4


def first_sights(job: StreamJob) -> FirstSights:
    """Return who is seen when for the first time; that is known once all segments are there."""
    if not job.checkpoint.complete:
        return FirstSights()
    directory, video = job.spec.paths.segments, job.info.video
    rows = (row for record in job.checkpoint.segments for row in segments.read_rows(directory, record))
    record = IdentityRecord.restored(job.checkpoint.analysis["people"]["record"])
    return FirstSights.of(rows, (video.width, video.height), record.pictures_until())


@dataclass(frozen=True, slots=True)
class Rerender:
    """What it takes to render finished segments again."""

    job: StreamJob
    sights: FirstSights
    new_tile_renderer: Callable[[], TileRenderer]
    new_encoder: Callable[[], Encoder]

    def run(self) -> int:
        """Render each segment again whose rows are to be shown differently; return their number.

        Raises:
            JobStopped: a stop is requested; the segments that are done are kept.
            ExplainedError: what decoding, composing or encoding raised.
        """
        rerendered, first_frame = 0, 0
        directory = self.job.spec.paths.segments
        for position, record in enumerate(self.job.checkpoint.segments):
            rows = segments.read_rows(directory, record)
            shown = [self.job.shown(self.sights.apply(row)) for row in rows]
            if segments.plan_of(shown, first_frame) != record.plan:
                self.job.interruption.check("while it was corrected")
                self._replace(position, record, self._rendered(record, rows, shown, first_frame))
                self.job.on_frames(first_frame + record.frames, rows[-1].t)
                rerendered += 1
            first_frame += record.frames
        return rerendered

    def _rendered(self, record: SegmentRecord, rows: list[Row], shown: list[Row], first_frame: int) -> SegmentRecord:
        with (
            SegmentWriter(self.job.spec.paths.segments, record.index, first_frame) as writer,
            closing(self.job.open_decoder()) as decoder,
        ):
            encoder = self.new_encoder()
            with closing(Stage("compose", self._frames(decoder, record, rows, shown), _DEPTH)) as frames:
                for row, now_shown, frame in frames:
                    writer.add_row(row, now_shown, frame.duration)
                    writer.add_packets(encoder.encode(frame))
            writer.add_packets(encoder.flush())
            return replace(
                writer.finish(), level=record.level, reason=record.reason, skipped=record.skipped, lost=record.lost
            )

    def _replace(self, position: int, old: SegmentRecord, new: SegmentRecord) -> None:
        checkpoint = self.job.checkpoint
        checkpoint.replace_segment(position, new)
        self.job.telemetry.stats_collector.count_written(frames=new.frames, output_bytes=new.bytes)
        checkpoint.save(self.job.spec.work_dir)
        segments.remove(self.job.spec.paths.segments, old)

    def _frames(
        self, decoder: Decoder, record: SegmentRecord, rows: list[Row], shown: list[Row]
    ) -> Iterator[tuple[Row, Row, Frame]]:
        tile_renderer = self.new_tile_renderer()
        batches = self.job.rate.batches(decoder, record.first_pts, _BATCH)
        frames = (frame for batch in batches for frame in batch.frames)
        ends = [*(row.pts for row in rows[1:]), record.last_pts + record.last_duration]
        for row, now_shown, end in zip(rows, shown, ends, strict=True):
            frame = next(frame for frame in frames if frame.pts == row.pts)  # frame skip may have left some out
            yield row, now_shown, tile_renderer.render(replace(frame, duration=end - row.pts), now_shown)
