"""Rows: time bases, rates, uneven and shifted times."""

from __future__ import annotations

from fractions import Fraction

from tests.conformance.film import Film, Voice
from tests.conformance.judge import Heard
from tests.conformance.row import Row, track

_EXACT = "every frame at its exact time"
_MS, _MPEG = Fraction(1, 1000), Fraction(1, 90_000)
_PCM = Voice("pcm_s16le")


def _row(
    name: str, what: str, /, happens: str = _EXACT, *, row: dict[str, object] | None = None, **film: object
) -> Row:
    return Row(f"time-{name}", what, happens, Film(**film), **(row or {}))  # type: ignore[arg-type]


def _rate(name: str, rate: Fraction, frames: int) -> Row:
    voice = Voice(length_s=max(1.0, float(frames / rate)))
    return _row(name, f"{float(rate):g} frames a second", rate=rate, frames=frames, voices=(voice,))


_UNEVEN = [0, 21, 67, 99, 120, 180, 233, 301, 366, 400, 480, 512, 555, 600, 655, 700, 720, 780, 850, 930, 999]
_BURSTS = [n * 40 + extra for n in range(25) for extra in ((0, 2) if n % 5 == 4 else (0,))]
_PHONE = [round(n * 3000 + (n * 7919 % 1200)) for n in range(30)]
_DROPPED = [n * 40 for n in range(25) if n not in (3, 7, 8, 9, 17)]
_PAUSE = [n * 40 for n in range(13)] + [2000 + n * 40 for n in range(12)]

ROWS = [
    _rate("23.976", Fraction(24000, 1001), 24),
    _rate("24", Fraction(24), 24),
    _rate("29.97", Fraction(30000, 1001), 30),
    _rate("30", Fraction(30), 30),
    _rate("50", Fraction(50), 50),
    _rate("59.94", Fraction(60000, 1001), 60),
    _rate("60", Fraction(60), 60),
    _rate("15", Fraction(15), 15),
    _rate("5", Fraction(5), 6),
    _row("120", "120 frames a second", "every second frame, at its exact time: max_fps is 60", rate=Fraction(120),
         frames=60, row={"times_s": [n / 60 for n in range(30)], "numbers": range(0, 60, 2)}),
    _row("120-kept", "120 frames a second with max_fps 120", rate=Fraction(120), frames=60,
         row={"profile": {"max_fps": 120}}),
    _row("base-1000", "Time base of milliseconds, uneven", name="a.mkv", time_base=_MS, pts=_UNEVEN),
    _row("bursts", "Uneven, some frames 2 ms after the one before", "left out where they come faster than max_fps",
         name="a.mkv", frames=30, time_base=_MS, pts=_BURSTS,
         row={"times_s": [n * 0.04 for n in range(25)], "numbers": [n + n // 5 for n in range(25)]}),
    _row("base-90000", "Time base of 90 kHz, uneven", name="a.ts", time_base=_MPEG, pts=_PHONE, options={"bf": "0"}),
    _row("base-600", "QuickTime's old time base, 1/600", name="a.mov", time_base=Fraction(1, 600),
         pts=[n * 24 for n in range(25)], muxer={"video_track_timescale": "600"}),
    _row("base-fine", "A very fine time base", time_base=Fraction(1, 1_000_000), pts=[n * 33_333 for n in range(30)],
         muxer={"video_track_timescale": "1000000"}),
    _row("phone-vfr", "Variable rate of a phone, 90 kHz", time_base=_MPEG, pts=_PHONE),
    _row("phone-vfr-b", "Variable rate with B-frames", time_base=_MPEG, pts=_PHONE,
         options={"bf": "2", "preset": "veryfast"}),
    _row("pause", "A pause of 1.5 s in the video, as screen recorders make", name="a.mkv", time_base=_MS, pts=_PAUSE,
         voices=(Voice(length_s=2.5),)),
    _row("begins-late", "Times that begin at 10 s", "moved to the beginning, together with the audio", name="a.mkv",
         time_base=_MS, pts=[10_000 + n * 40 for n in range(25)]),
    _row("begins-at-hours", "A transport stream whose clock stands at 10 hours", "moved to the beginning", name="a.ts",
         time_base=_MPEG, pts=[36_000 * 90_000 + n * 3600 for n in range(25)], options={"bf": "0"}),
    _row("negative", "Times that begin 0.3 s below zero", "video and audio moved together, both whole", name="a.mkv",
         time_base=_MS, pts=[n * 40 - 300 for n in range(25)], muxer={"avoid_negative_ts": "disabled"},
         voices=(_PCM,)),
    _row("negative-mp4", "Times below zero in MP4", "video and audio moved together, both whole", name="a.mov",
         time_base=Fraction(1, 12_800), pts=[n * 512 - 3840 for n in range(25)],
         muxer={"avoid_negative_ts": "disabled", "use_editlist": "0"}, voices=(_PCM,)),
    _row("audio-first", "Audio that begins 0.2 s before the video", "both in their places", name="a.mkv",
         time_base=_MS, pts=[200 + n * 40 for n in range(25)], voices=(Voice("pcm_s16le", from_s=-0.2, length_s=1.2),)),
    _row("audio-later", "Audio that begins 0.2 s after the video", "both in their places", name="a.mkv",
         voices=(Voice("pcm_s16le", from_s=0.2, length_s=0.8),),
         row={"heard": [track(0, _PCM, length_s=None)]}),
    _row("audio-much-later", "Audio that begins 1.5 s after the video", "both in their places, with a warning",
         name="a.mkv", frames=75, voices=(Voice("pcm_s16le", from_s=1.5, length_s=1.5),),
         row={"heard": [Heard((), length_s=None)], "warnings": ["AUDIO_STARTS_LATE"]}),
    _row("constant", "Variable rate with frame_rate: constant", "a constant rate of 25 frames a second", time_base=_MS,
         name="a.mkv", pts=_DROPPED,
         row={"profile": {"frame_rate": "constant"}, "times_s": [n * 0.04 for n in range(25)], "look": "none"}),
]  # fmt: skip
