"""Flash and beep: when a frame turns white and when a tone sets in, as two kinds of players have it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BRIGHT, LOUD = 150, 0.1
QUIET_S = 0.15  # less than this between two loud samples is one beep
IN_SYNC_S = 0.020  # less is not noticed by anybody (ITU-R BT.1359: 45 ms early, 125 ms late)


@dataclass(frozen=True)
class Heard:
    """Times in seconds from the begin of the file."""

    flashes: list[float]
    beeps: list[float]
    audio_s: float  # when it ends
    frame_s: float

    def offsets(self) -> list[float]:
        """For each flash, how much later the nearest beep is."""
        return [min((beep - flash for beep in self.beeps), key=abs) for flash in self.flashes]


def by_time_stamps(path: Path, audio_stream: int = 0) -> Heard:
    """In a player that follows time stamps and edit lists."""
    samples, times, rate = _audio(path, {}, audio_stream)
    return _heard(path, {}, samples, times, rate)


def by_counting(path: Path, audio_stream: int = 0) -> Heard:
    """In a player that plays one sample after the other from the begin, and knows no edit list."""
    options = {"ignore_editlist": "1"}
    samples, _, rate = _audio(path, options, audio_stream)
    return _heard(path, options, samples, np.arange(len(samples)) / rate, rate)


def assert_plays_in_sync(path: Path, expected: int, within_s: float = IN_SYNC_S, audio_stream: int = 0) -> None:
    """Every flash has its beep, in both kinds of players."""
    for measure in (by_time_stamps, by_counting):
        heard = measure(path, audio_stream)
        assert len(heard.flashes) == len(heard.beeps) == expected, (measure.__name__, heard)
        assert max(abs(offset) for offset in heard.offsets()) <= within_s, (measure.__name__, heard.offsets())


def _heard(
    path: Path, options: dict[str, str], samples: NDArray[np.float32], times: NDArray[np.float64], rate: int
) -> Heard:
    with av.open(str(path), options=options) as container:
        frames = [
            (float(f.pts * f.time_base), float(f.reformat(format="gray").to_ndarray().mean()))
            for f in container.decode(video=0)
        ]
    lit = [(time, level > BRIGHT) for time, level in frames]
    flashes = [time for (_, before), (time, now) in pairwise([(0.0, False), *lit]) if now and not before]
    loud = times[np.abs(samples) > LOUD]
    beeps = [float(b) for a, b in pairwise([-1.0, *loud]) if b - a > QUIET_S]
    return Heard(flashes, beeps, float(times[-1]) + 1 / rate, frames[-1][0])


def _audio(
    path: Path, options: dict[str, str], audio_stream: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], int]:
    """All samples of the loudest channel, their times and the rate."""
    samples, times, start, rate = [], [], 0.0, 48_000
    with av.open(str(path), options=options) as container:
        for frame in container.decode(container.streams.audio[audio_stream]):
            rate = frame.sample_rate
            if frame.pts is not None:  # else it follows the frame before
                start = float(frame.pts * frame.time_base)
            packed = av.AudioResampler("flt", frame.layout, rate).resample(frame)[0]
            level = np.abs(packed.to_ndarray().reshape(frame.samples, -1)).max(axis=1)
            samples.append(level)
            times.append(start + np.arange(len(level)) / rate)
            start += len(level) / rate
    return np.concatenate(samples), np.concatenate(times), rate
