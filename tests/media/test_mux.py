"""The finished MP4: frames at their exact times, audio where it was, nothing lost on the way."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from engines.audio.outcome import AudioOutcome
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import MAX_SOURCES
from engines.containers.sniff import iso_boxes
from engines.errors import EncodeFailedError
from engines.frames import EncodedPacket
from engines.media.mux import assemble_mp4, decoding_times
from engines.media.probe import probe
from tests.support.assembly import _segment, flashes_and_beeps, listened, remade
from tests.support.decoding import decoded
from tests.support.synth import Audio, Clip, number_in

FLASHES_S = (0.5, 1.1, 1.7)
AV_TOLERANCE_S = 0.001


def flashing(fps: int, start_s: float = 0.0) -> Clip:
    """Sixty frames, or two seconds: white for one frame at each of ``FLASHES_S``, else dark."""

    def draw(number: int, width: int, height: int) -> VideoFrame:
        frame = VideoFrame(width, height, "yuv420p")
        lit = any(abs(number / fps + start_s - flash) < 1e-6 for flash in FLASHES_S)
        for plane, level in zip(frame.planes, (235 if lit else 20, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8)[:] = level
        return frame

    return Clip(fps=Fraction(fps), frames=round(2 * fps), draw=draw)


def assert_in_sync(source: Path, out: Path, audio_stream: int = 0) -> None:
    flashes, beeps = flashes_and_beeps(source, audio_stream)
    new_flashes, new_beeps = flashes_and_beeps(out, audio_stream)
    assert len(new_flashes) == len(flashes) == len(beeps) == len(new_beeps) > 0
    for old_flash, old_beep, flash, beep in zip(flashes, beeps, new_flashes, new_beeps, strict=True):
        assert (beep - flash) - (old_beep - old_flash) == pytest.approx(0, abs=AV_TOLERANCE_S)


CASES = [
    *(("mp4", codec) for codec in ("aac", "libmp3lame", "ac3", "libopus", "flac")),
    *(("mkv", codec) for codec in ("aac", "libopus", "flac", "eac3", "pcm_s24le")),
    *(("ts", codec) for codec in ("aac", "mp2", "ac3")),
    ("mov", "alac"),
    ("flv", "aac"),
    ("mov", "pcm_s16le"),
    ("wmv", "wmav2"),
]


@pytest.mark.parametrize(("suffix", "codec"), CASES)
def test_audio_stays_with_the_frame(tmp_path: Path, suffix: str, codec: str) -> None:
    options = {"bf": "0"} if suffix == "wmv" else {}  # ASF's times are those of decoding
    clip = replace(flashing(30), options=options, audio=[Audio(codec, FLASHES_S)])
    source = clip.write(tmp_path / f"clip.{suffix}")
    outcome = remade(source, tmp_path / "out.mp4")
    assert outcome.mode == ("copied" if codec == "aac" else "transcoded")
    assert outcome.skipped_packets == 0
    assert_in_sync(source, tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libmp3lame"),
        ("mp4", "ac3"),
        ("mp4", "libopus"),
        ("mp4", "flac"),
        ("ts", "mp2"),
        ("mov", "alac"),
        ("mkv", "eac3"),
    ],
)
def test_whatever_mp4_holds_is_copied_on_request(tmp_path: Path, suffix: str, codec: str) -> None:
    source = replace(flashing(30), audio=[Audio(codec, FLASHES_S)]).write(tmp_path / f"clip.{suffix}")
    assert remade(source, tmp_path / "out.mp4", audio=AudioPolicy("copy")).mode == "copied"
    assert_in_sync(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("codec", ["pcm_s16le", "libmp3lame"])
def test_in_avi_the_first_frame_and_the_first_audio_belong_together(tmp_path: Path, codec: str) -> None:
    """FFmpeg invents presentation times for AVI, in decoding order; so the clip's own plan is what counts."""
    source = replace(flashing(30), audio=[Audio(codec, FLASHES_S)]).write(tmp_path / "clip.avi")
    assert remade(source, tmp_path / "out.mp4").mode == "transcoded"
    flashes, beeps = flashes_and_beeps(tmp_path / "out.mp4")
    assert flashes == pytest.approx(FLASHES_S)
    assert beeps == pytest.approx(FLASHES_S, abs=0.001 if codec == "pcm_s16le" else 0.03)


@pytest.mark.parametrize(("video_start_s", "audio_start_s"), [(0.4, 0.0), (0.0, 0.3), (0.2, 0.45), (0.45, 0.2)])
@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "pcm_s16le"), ("ts", "mp2"), ("mkv", "libopus")])
def test_streams_that_start_at_different_times(
    tmp_path: Path, suffix: str, codec: str, video_start_s: float, audio_start_s: float
) -> None:
    clip = flashing(20, video_start_s)
    first = round(video_start_s * 20)
    audio = Audio(codec, FLASHES_S, start_s=audio_start_s)
    source = replace(clip, pts=range(first, first + 40), audio=[audio]).write(tmp_path / f"clip.{suffix}")
    remade(source, tmp_path / "out.mp4")
    assert_in_sync(source, tmp_path / "out.mp4")


def test_a_transport_stream_that_starts_late(tmp_path: Path) -> None:
    audio = Audio("aac", [10 + f for f in FLASHES_S], start_s=10)
    clip = replace(flashing(30), pts=range(300, 360), audio=[audio])
    source = clip.write(tmp_path / "late.ts")
    remade(source, tmp_path / "out.mp4")
    assert_in_sync(source, tmp_path / "out.mp4")
    assert flashes_and_beeps(tmp_path / "out.mp4")[0][0] < 0.7


def test_audio_follows_the_frame_over_a_splice(tmp_path: Path) -> None:
    part = replace(flashing(30), audio=[Audio("mp2", FLASHES_S)]).write(tmp_path / "part.ts")
    source = tmp_path / "glued.ts"
    source.write_bytes(part.read_bytes() * 3)
    remade(source, tmp_path / "out.mp4")
    (flashes, beeps), (once, audio) = flashes_and_beeps(tmp_path / "out.mp4"), flashes_and_beeps(part)
    assert len(flashes) == len(beeps) == 9
    offsets = [beep - flash for flash, beep in zip(flashes, beeps, strict=True)]
    assert offsets == pytest.approx([beep - flash for flash, beep in zip(once, audio, strict=True)] * 3, abs=0.001)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_uneven_times_are_exact_in_the_sources_ticks(tmp_path: Path, suffix: str) -> None:
    times = np.cumsum([0, *(20 + 17 * (n % 5) for n in range(89))]).tolist()
    clip = Clip(pts=times, time_base=Fraction(1, 1000), audio=[Audio()])
    source = clip.write(tmp_path / f"uneven.{suffix}")
    lead_ms = remade(source, tmp_path / "out.mp4").frame_lead_s * 1000
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = [(f.pts * f.time_base, number_in(_luma(f))) for f in container.decode(video=0)]
    assert [number for _, number in frames] == list(range(90))
    assert frames[0][0] == 0
    assert [round(float(t * 1000) - lead_ms, 6) for t, _ in frames[1:]] == times[1:]


def test_broken_rates_are_exact(tmp_path: Path) -> None:
    source = Clip(fps=Fraction(30000, 1001), frames=120).write(tmp_path / "ntsc.mp4")
    remade(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [f.pts * f.time_base for f in container.decode(video=0)]
    assert times == [Fraction(1001 * n, 30000) for n in range(120)]


def test_every_audio_stream_is_kept_with_its_language(tmp_path: Path) -> None:
    audio = [
        Audio("aac", FLASHES_S, language="deu"),
        Audio("pcm_s16le", FLASHES_S, language="eng", layout="mono"),
        Audio("libmp3lame", FLASHES_S, rate=44_100),
    ]
    source = replace(flashing(30), audio=audio, title="A talk").write(tmp_path / "three.mkv")
    outcome = remade(source, tmp_path / "out.mp4")
    assert [(s.codec, s.mode, s.output_codec) for s in outcome.streams] == [
        ("aac", "copied", "aac"),
        ("pcm_s16le", "transcoded", "aac"),
        ("mp3", "transcoded", "aac"),
    ]
    for stream in range(3):
        assert_in_sync(source, tmp_path / "out.mp4", stream)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [s.language for s in container.streams.audio][:2] == ["deu", "eng"]
        assert container.streams.audio[1].codec_context.channels == 1
        assert container.metadata["title"] == "A talk"


@pytest.mark.parametrize(("codec", "magic"), [("flac", b"fLaC"), ("libopus", b"OpusHead")])
def test_audio_without_its_header_does_not_cost_the_video(tmp_path: Path, codec: str, magic: bytes) -> None:
    """MP4's index repeats the codec's header: the muxer would refuse to write one at all."""
    source = replace(flashing(30), audio=[Audio(codec, FLASHES_S)]).write(tmp_path / "clip.mkv")
    data = bytearray(source.read_bytes())
    at = data.rindex(b"\x63\xa2", 0, data.index(magic))  # CodecPrivate
    data[at : at + 2] = b"\x63\xa1"
    source.write_bytes(data)
    outcome = remade(source, tmp_path / "out.mp4")
    assert outcome.mode != "copied"


def test_of_very_many_audio_streams_the_first_are_taken(tmp_path: Path) -> None:
    source = Clip(frames=30, audio=[Audio("pcm_s16le", length_s=0.1, rate=8000)] * 70).write(tmp_path / "many.mkv")
    outcome = remade(source, tmp_path / "out.mp4")
    assert [stream.mode for stream in outcome.streams] == ["transcoded"] * MAX_SOURCES + ["dropped"] * 6


def test_no_audio_stays_no_audio(tmp_path: Path) -> None:
    outcome = remade(Clip().write(tmp_path / "mute.mp4"), tmp_path / "out.mp4")
    assert outcome == AudioOutcome(())
    assert outcome.mode == "none"
    assert not probe(tmp_path / "out.mp4").audio


def test_copied_audio_is_the_same_data_without_the_run_in(tmp_path: Path) -> None:
    source = Clip(frames=60, audio=[Audio("aac", FLASHES_S)]).write(tmp_path / "clip.mp4")
    remade(source, tmp_path / "out.mp4")
    assert _audio_data(source)[1:] == _audio_data(tmp_path / "out.mp4")


def test_gaps_in_transcoded_audio_become_silence(tmp_path: Path) -> None:
    """Three quarters of a second are missing from the packets; what follows stays in its place."""
    source = replace(flashing(30), audio=[Audio("pcm_s16le", FLASHES_S)]).write(tmp_path / "whole.mkv")
    gapped = tmp_path / "gapped.mkv"
    with av.open(str(source)) as old, av.open(str(gapped), "w") as new:
        streams = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio" and 0.65 < packet.pts * packet.time_base < 1.05:
                continue
            packet.stream = streams[packet.stream.index]
            new.mux(packet)
    remade(gapped, tmp_path / "out.mp4")
    assert_in_sync(gapped, tmp_path / "out.mp4")


def with_late_audio(tmp_path: Path, gap_s: int) -> Path:
    """Audio whose second half comes ``gap_s`` late."""
    source = tmp_path / "gap.mkv"
    whole = Clip(frames=60, audio=[Audio("pcm_s16le", beeps_s=(0.5, 1.5))]).write(tmp_path / "whole.mkv")
    with av.open(str(whole)) as taken, av.open(str(source), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in taken.streams]
        for packet in taken.demux():
            if packet.dts is None:
                continue
            late = packet.stream.type == "audio" and packet.pts * packet.time_base >= 1
            shift = round(gap_s / packet.time_base) if late else 0
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = streams[packet.stream_index]
            out.mux(packet)
    return source


def test_long_gaps_in_audio_become_silence(tmp_path: Path) -> None:
    outcome = remade(with_late_audio(tmp_path, 60), tmp_path / "out.mp4")
    assert outcome.streams[0].packets == pytest.approx(62 * 48_000 / 1024, abs=2)
    assert flashes_and_beeps(tmp_path / "out.mp4")[1] == pytest.approx([0.5, 61.5], abs=0.025)


def test_gaps_that_no_recording_has_stay_gaps(tmp_path: Path) -> None:
    """A time stamp that is wrong by hours must not become hours of silence; the audio behind it stays where it was."""
    outcome = remade(with_late_audio(tmp_path, 7200), tmp_path / "out.mp4")
    assert outcome.mode == "transcoded"
    assert outcome.streams[0].packets < 200, "two seconds of AAC, not two hours"
    assert flashes_and_beeps(tmp_path / "out.mp4")[1] == pytest.approx([0.5, 7201.5], abs=0.025)


def test_damaged_audio_is_skipped_and_counted(tmp_path: Path) -> None:
    source = replace(flashing(30), audio=[Audio("wmav2", FLASHES_S)]).write(tmp_path / "clip.wmv")
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        broken = [p for p in container.demux(audio=0) if p.pts is not None and 0.8 < p.pts * p.time_base < 1.0]
    for packet in broken:
        at = data.index(bytes(packet))
        data[at : at + packet.size] = bytes(byte ^ 0xFF for byte in data[at : at + packet.size])
    source.write_bytes(data)
    outcome = remade(source, tmp_path / "out.mp4")
    assert outcome.mode == "transcoded"
    assert probe(tmp_path / "out.mp4").audio


def test_the_index_comes_first_and_colours_are_tagged(tmp_path: Path) -> None:
    source = Clip(color=(1, 1, 1, 1), audio=[Audio()]).write(tmp_path / "clip.mp4")
    remade(source, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"colrnclx" in data
    video = probe(tmp_path / "out.mp4").video
    assert (video.codec, video.pix_fmt, video.color.matrix, video.color.full_range) == ("h264", "yuv420p", 1, False)


def test_chapters_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "chapters.mkv"
    Clip(frames=60, options={"bf": "0"}).write(tmp_path / "plain.mkv")
    with av.open(str(tmp_path / "plain.mkv")) as old, av.open(str(source), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        new.set_chapters(
            [
                {
                    "id": n,
                    "start": n * 1000,
                    "end": n * 1000 + 1000,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for n, title in enumerate(["Hello", "Goodbye"])
            ]
        )
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    remade(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        chapters = [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in container.chapters()]
    assert chapters == [(0, "Hello"), (1, "Goodbye")]


def test_the_same_segments_give_the_same_stream(tmp_path: Path) -> None:
    source = Clip(frames=60, audio=[Audio()]).write(tmp_path / "clip.mp4")
    for name in ("one.mp4", "two.mp4"):
        remade(source, tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def assembled(source: Path, file: IO[bytes], edit: Callable[[list[EncodedPacket]], Iterable[EncodedPacket]]) -> None:
    info = probe(source)
    packets, extradata = _segment(info, decoded(source))
    assemble_mp4(
        file,
        source=source,
        info=info,
        audio=listened(source),
        extradata=extradata,
        video=edit(packets),
        width=320,
        height=180,
        time_base=info.video.time_base,
        color=info.video.color,
        fps=info.video.fps,
        last_duration=512,
    )


def test_an_assembly_that_is_stopped_moves_nothing_any_more(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    written_bytes = 0

    def stopped(packets: list[EncodedPacket]) -> Iterator[EncodedPacket]:
        nonlocal written_bytes
        yield from packets
        written_bytes = sum(len(packet.data) for packet in packets)
        raise StoppedError

    source = Clip(frames=30).write(tmp_path / "clip.mp4")
    with (tmp_path / "out.mp4").open("wb") as file, pytest.raises(StoppedError):
        assembled(source, file, stopped)
    assert (tmp_path / "out.mp4").stat().st_size < written_bytes + 100, "no room was made for an index"


def test_what_takes_the_files_name_is_not_written_to(tmp_path: Path) -> None:
    out, moved, victim = (tmp_path / name for name in ("out.mp4", "moved.mp4", "victim"))
    victim.write_bytes(b"victim")

    def planted(packets: list[EncodedPacket]) -> Iterator[EncodedPacket]:
        yield from packets
        out.rename(moved)
        out.symlink_to(victim)

    source = Clip(frames=30, audio=[Audio()]).write(tmp_path / "clip.mp4")
    with out.open("wb") as file:
        assembled(source, file, planted)
    assert victim.read_bytes() == b"victim"
    assert probe(moved).video.frames_from_header == 30
    kinds = [kind for kind, _, _ in iso_boxes(io.BytesIO(moved.read_bytes()))]
    assert kinds.index(b"moov") < kinds.index(b"mdat")


def test_a_full_disk_is_the_storages_fault(tmp_path: Path) -> None:
    source = Clip(frames=30).write(tmp_path / "clip.mp4")
    with Path("/dev/full").open("wb") as file, pytest.raises(OSError, match="No space"):
        assembled(source, file, iter)


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    source = Clip(frames=3).write(tmp_path / "clip.mp4")
    with (tmp_path / "out.mp4").open("wb") as file, pytest.raises(EncodeFailedError):
        assembled(source, file, lambda packets: packets[:0])


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(0, 3), st.randoms())
def test_decoding_times_rise_and_are_never_late(steps: list[int], depth: int, dice: object) -> None:
    """Any order in which no frame waits for more than ``depth`` earlier packets that are shown later."""
    shown = np.cumsum(steps).tolist()
    pool: list[int] = []
    order = []
    for pts in shown:  # a frame may run ahead of at most ``depth`` that are shown before it
        pool.append(pts)
        if len(pool) > depth:
            order.append(pool.pop(dice.choice([0, len(pool) - 1])))  # type: ignore[attr-defined]
            while pool and len(order) - sum(o < pool[0] for o in order) >= depth:
                order.append(pool.pop(0))
    order += pool
    order.remove(shown[0])
    packets = [EncodedPacket(b"", pts, False) for pts in [shown[0], *order]]
    deepest = max(sum(a.pts > b.pts for a in packets[:n]) for n, b in enumerate(packets))
    timed = list(decoding_times(packets, deepest, 10))
    assert [t.packet for t in timed] == packets
    assert all(a.dts < b.dts for a, b in pairwise(timed))
    assert all(t.dts <= t.packet.pts for t in timed)


def test_deeper_reordering_than_promised_is_an_error() -> None:
    packets = [EncodedPacket(b"", pts, False) for pts in (0, 40, 20, 10, 30)]
    with pytest.raises(EncodeFailedError):
        list(decoding_times(packets, 1, 10))


def _luma(frame: VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _audio_data(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]
