"""Loudness by EBU R 128 (ITU-R BS.1770), measured and brought to a target with FFmpeg's ebur128 and loudnorm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite, log10

from av.audio.frame import AudioFrame
from av.filter import Graph

SILENCE_LUFS = -70.0  # the absolute gate of BS.1770: nothing below it is measured
TRUE_PEAK_MAX_DBTP = -2.0  # EBU Tech 3343: room for what AAC adds to a peak
RELATIVE_GATE_LU = 10.0
RANGE_MIN_LU, RANGE_MAX_LU = 7.0, 50.0  # of loudnorm; a wider target than the source's range keeps that
PACKED = "flt"  # PyAV reads planes of at most seven planar channels


@dataclass(frozen=True, slots=True)
class Loudness:
    """Measurement of a whole stream by EBU R 128."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float

    def turned(self, gain_db: float) -> Loudness:
        """Return the loudness after a gain of ``gain_db``."""
        return replace(
            self,
            integrated_lufs=round(self.integrated_lufs + gain_db, 2),
            true_peak_dbtp=round(self.true_peak_dbtp + gain_db, 2),
        )


class LoudnessMeter:
    """Passes audio through and measures it; first brings it to a target loudness, if one is given.

    Args:
        sample_format: of the returned frames; the given ones are ``PACKED``.
        target_lufs, source: for the second pass: the target, and the measurement of the first pass. A constant gain is
            enough unless peaks would exceed ``TRUE_PEAK_MAX_DBTP``; then loudnorm works dynamically.
    """

    def __init__(
        self,
        rate: int,
        layout: str,
        sample_format: str = PACKED,
        *,
        target_lufs: float | None = None,
        source: Loudness | None = None,
    ) -> None:
        filters = [] if target_lufs is None or source is None else _normalisation(target_lufs, source, rate)
        filters += [
            ("ebur128", "framelog=quiet:metadata=1:peak=true"),
            ("aformat", f"sample_fmts={sample_format}:sample_rates={rate}:channel_layouts={layout}"),
        ]
        self._graph = Graph()
        self._graph.link_nodes(
            self._graph.add_abuffer(sample_rate=rate, format=PACKED, layout=layout, time_base=Fraction(1, rate)),
            *(self._graph.add(name, arguments) for name, arguments in filters),
            self._graph.add("abuffersink"),
        ).configure()
        self._found: dict[str, str] = {}

    @property
    def loudness(self) -> Loudness | None:
        """Loudness of all returned frames; None if they are too short or silent."""
        integrated, peak = (float(self._found.get(f"lavfi.r128.{key}", "nan")) for key in ("I", "true_peak"))
        if not isfinite(integrated) or integrated <= SILENCE_LUFS or not peak > 0:
            return None
        width = float(self._found.get("lavfi.r128.LRA", "0"))
        return Loudness(round(integrated, 2), round(width, 2), round(20 * log10(peak), 2))

    def take(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        self._graph.push(frame)
        yield from self._pulled()

    def finish(self) -> Iterator[AudioFrame]:
        self._graph.push(None)
        yield from self._pulled()

    def _pulled(self) -> Iterator[AudioFrame]:
        with suppress(BlockingIOError, EOFError):
            while True:
                frame = self._graph.pull()
                assert isinstance(frame, AudioFrame)
                self._found = frame.metadata or self._found
                yield frame


def _normalisation(target_lufs: float, source: Loudness, rate: int) -> list[tuple[str, str]]:
    """Return the filters of the second pass. loudnorm also needs the relative gate, which ebur128 does not report."""
    width = max(0.01, source.range_lu)
    arguments = {
        "I": target_lufs, "TP": TRUE_PEAK_MAX_DBTP, "LRA": min(RANGE_MAX_LU, max(RANGE_MIN_LU, width)),
        "measured_I": source.integrated_lufs, "measured_TP": source.true_peak_dbtp, "measured_LRA": min(99.0, width),
        "measured_thresh": source.integrated_lufs - RELATIVE_GATE_LU, "linear": "true",
    }  # fmt: skip
    return [("loudnorm", ":".join(f"{name}={value}" for name, value in arguments.items())), ("aresample", f"{rate}")]
