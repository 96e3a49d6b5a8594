"""Edit lists with more than one edit are presented as they say, also after a resume at any time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.audio.output import AudioOutput
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import prescan
from engines.containers.demux import open_media
from engines.containers.edit_lists import MAX_EDITS, read_edit_lists
from engines.cpu.decode import PyAvDecoder
from engines.errors import IndexTooLargeError
from engines.frames import Frame
from engines.media.probe import probe
from tests.support.assembly import remade
from tests.support.damage import noisy, spoil
from tests.support.edit_lists import Cut, set_edits
from tests.support.layout_boxes import box
from tests.support.movies import File, texts
from tests.support.outcomes import outcome
from tests.support.synth import Audio, Clip, image, number_in

FPS, FRAMES = 30, 90
LISTS: dict[str, Sequence[Cut]] = {
    "jump cuts": [Cut(0.35, k * 0.5 + 0.1) for k in range(5)],
    "between frames": [Cut(0.213, 0.317), Cut(0.451, 1.009), Cut(0.1, 2.2)],
    "out of order": [Cut(0.5, 2.0), Cut(0.5, 0.5), Cut(0.5, 1.5)],
    "the same again": [Cut(0.6, 0.3), Cut(0.6, 0.3), Cut(0.6, 0.5)],
    "pauses": [Cut(0.2, None), Cut(0.5, 0.0), Cut(0.3, None), Cut(0.5, 0.5)],
    "a still": [Cut(0.5, 0.5), Cut(0.4, 1.0, rate=0), Cut(0.5, 1.0)],
    "a still alone": [Cut(0.4, 1.0, rate=0)],
    "without a break": [Cut(0.5, 0.5), Cut(0.5, 1.0), Cut(0.5, 1.5)],
    "to the end": [Cut(0.5, 0.5), Cut(0, 2.0)],
}


def recording(path: Path, cuts: Sequence[Cut], **more: object) -> Path:
    return set_edits(Clip(width=160, height=90, frames=FRAMES, **more).write(path), cuts)  # type: ignore[arg-type]


def shown(path: Path, start_pts: int | None = None, *, damaged: bool = False) -> list[Frame]:
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=10**7)
    frames = [frame for batch in decoder.batches(start_pts) for frame in batch.frames]
    assert damaged or decoder.replaced_frames == 0
    return frames


def said(cuts: Sequence[Cut]) -> list[tuple[float, float, int]]:
    """From when to when which frame is shown, by the list: (seconds, seconds, number)."""
    spans, now = [], 0.0
    for cut in cuts:
        length = cut.length_s or FRAMES / FPS - (cut.from_s or 0)
        if cut.from_s is not None:
            begin, end = cut.from_s, cut.from_s + (0 if cut.rate == 0 else length)
            for number in range(int(begin * FPS + 1e-6), FRAMES):
                first, last = max(begin, number / FPS), min(end, (number + 1) / FPS)
                if cut.rate == 0:
                    spans.append((now, now + length, number))
                    break
                if last - first > 0.0015:
                    spans.append((now + first - begin, now + last - begin, number))
        now += length
    return spans


@pytest.mark.parametrize("name", LISTS)
def test_frames_have_the_times_of_the_list(tmp_path: Path, name: str) -> None:
    path = recording(tmp_path / "x.mp4", LISTS[name])
    info = probe(path)
    frames, expected = shown(path), said(LISTS[name])
    assert [number_in(frame.y) for frame in frames] == [number for _, _, number in expected]
    times_s = [float(frame.pts * info.video.time_base) for frame in frames]
    assert times_s == pytest.approx([begin for begin, _, _ in expected], abs=0.002)
    end_s = float((frames[-1].pts + frames[-1].duration) * info.video.time_base)
    assert end_s == pytest.approx(expected[-1][1], abs=0.002)
    assert info.duration_s == pytest.approx(end_s, abs=0.002 if LISTS[name][-1].length_s else 0.1)
    assert info.warnings == ()


@pytest.mark.parametrize("name", ["jump cuts", "out of order", "the same again", "a still"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_decoding_from_any_time_shows_the_same(tmp_path: Path, name: str, codec: str) -> None:
    options = {"x265-params": "log-level=none:keyint=12:bframes=2"} if codec == "libx265" else {}
    path = recording(tmp_path / "x.mp4", LISTS[name], codec=codec, options=options)
    whole = shown(path)
    for number in range(0, len(whole), 3):
        rest = shown(path, whole[number].pts)
        assert [f.pts for f in rest] == [f.pts for f in whole[number:]]
        assert all(np.array_equal(a.y, b.y) for a, b in zip(rest, whole[number:], strict=True))


def test_fragments_are_edited_too(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = recording(tmp_path / "x.mp4", LISTS["out of order"], container_options=options, options={"bf": "0"})
    assert [number_in(frame.y) for frame in shown(path)] == [number for _, _, number in said(LISTS["out of order"])]


def test_damage_is_concealed_the_same_from_any_start(tmp_path: Path) -> None:
    path = Clip(width=160, height=90, frames=FRAMES).write(tmp_path / "x.mp4")
    spoil(path, [30, 62], noisy)
    set_edits(path, [Cut(0.6, 1.6), Cut(0.7, 0.5), Cut(0.6, 1.9)])
    whole = shown(path, damaged=True)
    assert any(frame.replaced for frame in whole)
    for number in range(0, len(whole), 5):
        rest = shown(path, whole[number].pts, damaged=True)
        assert [(f.pts, f.replaced) for f in rest] == [(f.pts, f.replaced) for f in whole[number:]]
        assert all(np.array_equal(a.y, b.y) for a, b in zip(rest, whole[number:], strict=True))


FLASHES_S = [k / 2 for k in range(6)]
AUDIO = {
    "pcm.mov": Audio("pcm_s16le", FLASHES_S, 3.0, layout="mono"),
    "aac.mp4": Audio("aac", FLASHES_S, 3.0),
    "mp3.mp4": Audio("mp3", FLASHES_S, 3.0, rate=44_100),
}


def flashing(number: int, width: int, height: int) -> VideoFrame:
    frame = image(0, width, height)
    np.frombuffer(frame.planes[0], np.uint8)[:] = 235 if number % (FPS // 2) == 0 else 16
    return frame


def flashes_s(path: Path) -> list[float]:
    """When a frame gets bright."""
    time_base = probe(path).video.time_base
    bright = [(float(f.pts * time_base), f.y.mean() > 120) for f in shown(path)]
    return [t for number, (t, is_bright) in enumerate(bright) if is_bright and not (number and bright[number - 1][1])]


def beeps_s(path: Path, delivered: Path) -> list[float]:
    """When the delivered audio gets loud."""
    with open_media(path) as source, av.open(str(delivered), "w") as out:
        found = prescan(path, probe(path).audio, AudioPolicy())
        pump = AudioOutput(path, source, found, out, Fraction(0))
        for _, packet in pump.packets():
            out.mux(packet)
    assert pump.outcome.mode == "transcoded"
    assert pump.outcome.skipped_packets == 0
    with av.open(str(delivered)) as out:
        frames = [(float(f.pts * f.time_base), f.to_ndarray()[0]) for f in out.decode(audio=0)]
        rate = out.streams.audio[0].sample_rate
    ends = [start + len(wave) / rate for start, wave in frames]
    assert all(abs(end - start) < 0.001 for end, (start, _) in zip(ends, frames[1:], strict=False))
    loud = np.abs(np.concatenate([wave for _, wave in frames])) > 0.2
    onsets = [at for at in np.flatnonzero(loud) if not loud[max(0, at - rate // 50) : at].any()]
    return [frames[0][0] + at / rate for at in onsets]


@pytest.mark.parametrize("name", AUDIO)
def test_audio_and_video_stay_in_sync_at_every_edit(tmp_path: Path, name: str) -> None:
    """Each edit begins before a flash with a beep, and ends between two frames and in the middle of a packet."""
    cuts = [Cut(0.337, k / 2 - 0.113) for k in (1, 2, 3, 4, 5, 2, 4, 1, 3, 5)]
    path = recording(tmp_path / name, cuts, draw=flashing, audio=[AUDIO[name]])
    seen, heard = flashes_s(path), beeps_s(path, tmp_path / "out.mp4")
    assert seen == pytest.approx([k * 0.337 + 0.113 for k in range(10)], abs=0.002)
    assert heard == pytest.approx(seen, abs=0.010)


def test_subtitles_are_shown_with_their_edits(tmp_path: Path) -> None:
    file = File(tmp_path / "x.mp4", Clip(width=160, height=90, frames=FRAMES))
    file.text("mov_text", (0, 300, b"\0\3one"), (1500, 2000, b"\0\3two"))
    path = set_edits(file.write(), [Cut(1.0, 1.2), Cut(0.6, 0.1), Cut(0.5, 1.8)])
    remade(path, tmp_path / "out.mp4")
    assert texts(tmp_path / "out.mp4") == [(300, 800, "two"), (1000, 1200, "one"), (1600, 1800, "two")]


def test_memory_does_not_grow_with_samples_times_edits(tmp_path: Path) -> None:
    """FFmpeg's own index would have 1200 frames, from the only keyframe on, for each of 10,000 edits: 288 MB."""
    path = Clip(width=64, height=48, frames=1200, options={"g": "9999", "bf": "0"}).write(tmp_path / "x.mp4")
    set_edits(path, [Cut(0.04, 39.5 - k % 7 / 30) for k in range(10_000)])
    work = "info = probe(path); next(PyAvDecoder(path, info, max_surface_pixels=10**7).batches()); raise SystemError"
    assert outcome(path, work, most_mib=60) == "SystemError"


def test_edits_of_no_length_are_not_left_to_the_demuxer(tmp_path: Path) -> None:
    """FFmpeg would index a group of frames for each."""
    path = recording(tmp_path / "x.mp4", [Cut(0, 2.0), Cut(0, 1.0), Cut(0.5, 0.5)])
    assert read_edit_lists(path).are_complex
    assert len(shown(path)) == 15


def test_an_endless_list_is_refused(tmp_path: Path) -> None:
    path = Clip(width=64, height=48, frames=6).write(tmp_path / "x.mp4")
    set_edits(path, [Cut(0.1, 0.0)] * (MAX_EDITS + 1))
    with pytest.raises(IndexTooLargeError, match="edits"):
        probe(path)


def test_other_speeds_and_missing_media_give_warnings(tmp_path: Path) -> None:
    path = recording(tmp_path / "x.mp4", [Cut(0.5, 0.0, rate=2), Cut(0.5, 2.0, rate=0.5), Cut(1.5, 2.5)])
    assert [(w.code, w.stream) for w in probe(path).warnings] == [("EDIT_SPEED_IGNORED", 0), ("EDIT_BEYOND_MEDIA", 0)]
    assert len(shown(path)) == 45


def test_ordinary_lists_are_left_to_the_demuxer(tmp_path: Path) -> None:
    path = Clip(frames=12, audio=[Audio(beeps_s=(), length_s=0.4, start_s=0.1)]).write(tmp_path / "x.mp4")
    assert not read_edit_lists(path).are_complex
    assert read_edit_lists(path).tracks


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, struct.pack(">II", 0, 2**32 - 1) + b"\x7f" * 13])
def test_damaged_lists_are_read_as_far_as_possible(tmp_path: Path, content: bytes) -> None:
    trak = box(b"trak", box(b"edts", box(b"elst", content)))
    path = tmp_path / "x.mp4"
    path.write_bytes(box(b"ftyp", b"isom") + box(b"moov", trak))
    assert len(read_edit_lists(path).of(0)) <= 1
