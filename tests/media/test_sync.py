"""Flash and beep at every half second of the output: in step for players that follow time stamps and for those that
count samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.audio.outcome import AudioOutcome
from engines.audio.policy import AudioPolicy
from engines.cpu.decode import PyAvDecoder
from engines.media.probe import probe
from tests.support.assembly import remade
from tests.support.edit_lists import Cut, set_edits
from tests.support.sync import assert_plays_in_sync, by_counting, by_time_stamps
from tests.support.synth import Audio, Clip

FPS = 25
FLASHES_S = tuple(0.2 + 0.6 * number for number in range(5))  # of three seconds; all on frames


def flashing(first: int = 0, frames: int = 75) -> Clip:
    """Small frames, white for one frame at each of ``FLASHES_S``."""
    lit = {first + number for number in range(frames) if any(abs(number / FPS - f) < 1e-6 for f in FLASHES_S)}

    def draw(number: int, width: int, height: int) -> VideoFrame:
        frame = VideoFrame(width, height, "yuv420p")
        for plane, level in zip(frame.planes, (235 if number in lit else 20, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8)[:] = level
        return frame

    numbers = range(first, first + frames)
    return Clip(width=160, height=90, fps=Fraction(FPS), frames=frames, pts=numbers, draw=_numbered(draw, numbers))


def _numbered(draw: Callable[[int, int, int], VideoFrame], numbers: range) -> Callable[[int, int, int], VideoFrame]:
    return lambda at, width, height: draw(numbers[at], width, height)


def beeping(first_s: float = 0.0, **more: object) -> Audio:
    beeps = [first_s + flash for flash in FLASHES_S if first_s + flash >= first_s]
    return Audio(beeps_s=beeps, start_s=first_s, length_s=3.0, **more)  # type: ignore[arg-type]


def in_sync(
    source: Path,
    tmp_path: Path,
    flashes: int = len(FLASHES_S),
    policy: AudioPolicy = AudioPolicy(),  # noqa: B008
) -> AudioOutcome:
    outcome = remade(source, tmp_path / "out.mp4", audio=policy)
    assert_plays_in_sync(tmp_path / "out.mp4", flashes)
    return outcome


def rewritten(source: Path, path: Path, change: Callable[[av.Packet], bool], **options: str) -> Path:
    """The same packets in another file, changed; those for which ``change`` is false are left out."""
    with av.open(str(source)) as old, av.open(str(path), "w", container_options=options) as new:
        streams = [new.add_stream_from_template(stream, opaque=True) for stream in old.streams]
        for packet in old.demux():
            if packet.dts is not None and change(packet):
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
    return path


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050])
def test_aac_is_copied_without_its_run_in(tmp_path: Path, rate: int) -> None:
    source = replace(flashing(), audio=[beeping(rate=rate)]).write(tmp_path / "a.mp4")
    outcome = in_sync(source, tmp_path)
    assert (outcome.mode, outcome.frame_lead_s) == ("copied", 0)
    followed, counted = by_time_stamps(tmp_path / "out.mp4"), by_counting(tmp_path / "out.mp4")
    assert counted.beeps == pytest.approx(followed.beeps, abs=0.001)
    assert counted.flashes == followed.flashes == pytest.approx(FLASHES_S), "reordered frames are not late"


@pytest.mark.parametrize("policy", [AudioPolicy("aac"), AudioPolicy("auto", -20.0)])
def test_audio_that_is_encoded_begins_at_once(tmp_path: Path, policy: AudioPolicy) -> None:
    source = replace(flashing(), audio=[beeping(codec="pcm_s16le")]).write(tmp_path / "a.mov")
    assert in_sync(source, tmp_path, policy=policy).mode == "transcoded"


def test_every_edit(tmp_path: Path) -> None:
    """Fifteen edits end and begin in the middle of packets; on the whole audio and video last equally long."""
    cuts = [Cut(0.437, FLASHES_S[k % 5] - 0.113 + 0.004 * (k // 5)) for k in range(15)]
    source = set_edits(replace(flashing(), audio=[beeping()]).write(tmp_path / "a.mp4"), cuts)
    outcome = in_sync(source, tmp_path, flashes=15)
    assert outcome.streams[0].reason == "an edit list cuts it"
    heard = by_counting(tmp_path / "out.mp4")
    assert heard.audio_s == pytest.approx(15 * 0.437, abs=0.03)


def test_edits_that_do_not_say_where_aac_begins(tmp_path: Path) -> None:
    """They play the run-in: the source itself is late by one packet, or not at all; nobody can tell."""
    plain = replace(flashing(), audio=[beeping()]).write(tmp_path / "a.mp4")
    source = rewritten(plain, tmp_path / "b.mp4", lambda packet: True, use_editlist="0", avoid_negative_ts="make_zero")
    outcome = in_sync(set_edits(source, [Cut(0.9, 0), Cut(0.9, 1.2)]), tmp_path, flashes=4)
    assert outcome.mode == "transcoded"


@pytest.mark.parametrize("second", [{"layout": "5.1"}, {"rate": 44_100}, {"layout": "mono", "rate": 32_000}])
def test_a_change_midway(tmp_path: Path, second: dict[str, object]) -> None:
    """A broadcast changes from one programme to the next: stereo, then 5.1; 48 kHz, then another rate."""
    one, two = (replace(flashing(first), options={"bf": "0"}) for first in (0, 75))
    parts = [replace(one, audio=[beeping()]), replace(two, audio=[beeping(3.0, **second)])]
    source = tmp_path / "both.ts"
    source.write_bytes(b"".join(part.write(tmp_path / "part.ts").read_bytes() for part in parts))
    stream = in_sync(source, tmp_path, flashes=2 * len(FLASHES_S)).streams[0]
    assert (stream.mode, stream.reason) == ("transcoded", "its layout or rate changes midway")
    assert stream.layout == "stereo"
    assert stream.skipped_packets == 0


def test_gaps_become_silence(tmp_path: Path) -> None:
    whole = replace(flashing(), options={"bf": "0"}, audio=[beeping()]).write(tmp_path / "whole.mkv")
    gapped = rewritten(
        whole,
        tmp_path / "gapped.mkv",
        lambda packet: not (packet.stream.type == "audio" and (0.9 < packet.pts * packet.time_base < 1.3)),
    )
    outcome = in_sync(gapped, tmp_path)
    assert outcome.streams[0].reason == "it has gaps or overlaps"


@pytest.mark.parametrize("late_s", [0.3, -0.3])
def test_audio_that_begins_later_or_earlier(tmp_path: Path, late_s: float) -> None:
    """Audio that comes later follows silence; under audio that comes earlier the first frame is shown."""
    first = round(max(0.0, -late_s) * FPS) + 1
    audio = Audio(
        beeps_s=[first / FPS + flash for flash in FLASHES_S if flash > late_s],
        start_s=first / FPS + late_s,
        length_s=3.0,
    )
    source = replace(flashing(first), audio=[audio]).write(tmp_path / "a.mkv")
    outcome = remade(source, tmp_path / "out.mp4")
    assert outcome.frame_lead_s == pytest.approx(max(0.0, -late_s), abs=0.03)
    for measure in (by_time_stamps, by_counting):
        heard = measure(tmp_path / "out.mp4")
        for beep in heard.beeps:
            assert min(abs(beep - flash) for flash in heard.flashes) < 0.02
        assert len(heard.beeps) == len(audio.beeps_s)


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_negative_times_shift_frame_and_audio_together(tmp_path: Path, suffix: str) -> None:
    """Matroska's reader gives no time to frames before 0, FLV's one that is 24 days late."""
    plain = replace(flashing(), audio=[beeping()]).write(tmp_path / "a.mp4")

    def earlier(packet: av.Packet) -> bool:
        shift = round(Fraction(3, 10) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return True

    source = rewritten(plain, tmp_path / f"neg.{suffix}", earlier, avoid_negative_ts="disabled")
    info = probe(source)
    frames = [f.pts for b in PyAvDecoder(source, info, max_surface_pixels=10**6).batches() for f in b.frames]
    assert frames == [40 * number - 300 for number in range(75)]
    assert info.video.start_pts == -300
    outcome = in_sync(source, tmp_path)
    assert outcome.mode == "copied"
    assert by_counting(tmp_path / "out.mp4").audio_s == pytest.approx(3.04, abs=0.03)
