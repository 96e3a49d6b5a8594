"""What a file says about itself: in the result too, or named in a warning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Disposition, Stream
from hypothesis import given
from hypothesis import strategies as st

from engines.media.probe import probe
from engines.metadata.subtitles import Cue, CueFlattener
from engines.metadata.tags import tags_of
from tests.support.assembly import remade
from tests.support.movies import CLIP, MS, File, texts
from tests.support.synth import Audio


@contextmanager
def recopied(source: Path, target: Path) -> Iterator[list[Stream]]:
    """Copy a file's packets after the caller has changed what is said about the streams."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams: list[Stream] = [new.add_stream_from_template(stream) for stream in old.streams]
        yield streams
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                new.mux(packet)


def codes(path: Path) -> list[str]:
    return [warning.code for warning in probe(path).warnings]


def test_tags_dates_and_place_are_kept(tmp_path: Path) -> None:
    file = File(tmp_path / "a.mov")
    file.out.metadata.update({
        "title": "Interview", "artist": "Ann", "comment": "take 2", "copyright": "us", "date": "2026",
        "creation_time": "2026-03-01T10:00:00.000000Z", "location": "+37.5000+127.0000/",
    })  # fmt: skip
    remade(file.write(), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        kept = out.metadata
        assert out.streams.video[0].metadata["creation_time"] == "2026-03-01T10:00:00.000000Z"
    assert kept["creation_time"] == "2026-03-01T10:00:00.000000Z"
    assert {kept[k] for k in ("title", "artist", "comment", "copyright", "date")} == {
        "Interview", "Ann", "take 2", "us", "2026",
    }  # fmt: skip
    assert kept["location"].startswith("+37.5000+127.0000")


def test_names_of_other_containers_are_understood() -> None:
    phone = {
        "com.apple.quicktime.creationdate": "2026-03-01T19:00:00+0900", "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.location.ISO6709": "+37.5+127.0/", "ARTIST": "Ann", "encoder": "x",
    }  # fmt: skip
    assert tags_of(phone) == {"artist": "Ann", "date": "2026-03-01T19:00:00+0900", "location": "+37.5+127.0/"}
    assert tags_of({"location": "+373000.5+1270000/"}) == tags_of({"location": "at home"}) == {}
    assert tags_of({"modification_date": "2026-03-01T10:00:00Z", "date": ""}) == {
        "creation_time": "2026-03-01T10:00:00Z"
    }


@pytest.mark.parametrize(
    ("fps", "begin", "timecode", "kept"),
    [
        (Fraction(30), 0, "01:02:03:04", "01:02:03:04"),
        (Fraction(30000, 1001), 0, "01:02:03;04", "01:02:03;04"),
        (Fraction(30), 12, "01:02:03:04", "01:02:03:04"),
    ],
)
def test_timecode_is_kept(tmp_path: Path, fps: Fraction, begin: int, timecode: str, kept: str) -> None:
    """A frame that begins later than its audio: the timecode's track, like the source's, begins with the audio."""
    clip = replace(CLIP, fps=fps, pts=range(begin, begin + 60), audio=[Audio()])
    with recopied(clip.write(tmp_path / "plain.mov"), tmp_path / "tc.mov") as streams:
        streams[0].metadata["timecode"] = timecode
    remade(tmp_path / "tc.mov", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert [s.metadata.get("timecode") for s in result.streams.data] == [kept]
        assert result.streams.video[0].metadata["timecode"] == kept
    assert codes(tmp_path / "tc.mov") == codes(tmp_path / "out.mp4") == []


def test_a_timecode_that_counts_every_second_frame_stays_at_its_moment(tmp_path: Path) -> None:
    file = File(tmp_path / "half.mov", replace(CLIP, fps=Fraction(60)))
    file.video.metadata["timecode"] = "01:02:03:04"
    content = bytearray(file.write().read_bytes())
    at = content.index(b"tmcd", content.index(b"stsd", content.index(b"gmhd"))) + 4 + 20
    assert content[at + 4] == 60
    frame_duration = int.from_bytes(content[at : at + 4], "big")
    content[at : at + 5] = (2 * frame_duration).to_bytes(4, "big") + b"\x1e"
    (tmp_path / "half.mov").write_bytes(content)
    with av.open(str(tmp_path / "half.mov")) as source:
        assert source.streams.data[0].metadata["timecode"] == "02:04:06:04"
    remade(tmp_path / "half.mov", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert result.streams.data[0].metadata["timecode"] == "02:04:06:08"


def test_where_the_audio_begins_first_the_timecode_is_that_of_its_begin(tmp_path: Path) -> None:
    """Matroska has no track for it: its timecode is that of the first frame, which comes half a second later."""
    clip = replace(CLIP, options={"bf": "0"}, pts=range(15, 75), audio=[Audio("pcm_s16le")])
    with recopied(clip.write(tmp_path / "plain.mkv"), tmp_path / "tc.mkv") as streams:
        streams[0].metadata["timecode"] = "01:02:03:04"
    remade(tmp_path / "tc.mkv", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert [s.metadata.get("timecode") for s in result.streams.data] == ["01:02:02:19"]


def test_chapters_before_the_begin_are_left_and_the_others_moved(tmp_path: Path) -> None:
    clip = replace(CLIP, pts=range(30, 90))
    file = File(tmp_path / "a.mkv", clip)
    file.out.set_chapters([
        {"id": n, "start": start, "end": end, "time_base": MS, "metadata": {"title": name}}
        for n, (start, end, name) in enumerate([(0, 900, "gone"), (900, 2000, "cut"), (2000, 3000, "last")])
    ])  # fmt: skip
    remade(file.write(), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        chapters = [
            (c["metadata"]["title"], round(c["start"] * c["time_base"], 3), round(c["end"] * c["time_base"], 3))
            for c in out.chapters()
        ]
    assert chapters == [("cut", 0, 1), ("last", 1, 2)]
    assert codes(tmp_path / "out.mp4") == [], "the track of chapter titles is no data that gets lost"


TEXTS = {
    "subrip": ((b"<i>\xec\x95\x88\xeb\x85\x95</i>\nhello", b"a & b"), ["안녕\nhello", "a & b"]),
    "ass": ((b"0,0,Default,,0,0,0,,{\\i1}Hi{\\i0}\\Nthere, you", b"1,0,Default,,0,0,0,,b"), ["Hi\nthere, you", "b"]),
    "webvtt": ((b"<b>web</b>", b"vtt"), ["web", "vtt"]),
}


@pytest.mark.parametrize("codec", list(TEXTS))
def test_text_subtitles_become_timed_text(tmp_path: Path, codec: str) -> None:
    (first, second), wanted = TEXTS[codec]
    file = File(tmp_path / "a.mkv")
    stream = file.text(codec, (100, 600, first), (800, 1100, second))
    stream.disposition = Disposition.default | Disposition.hearing_impaired
    assert remade(file.write(), tmp_path / "out.mp4").warnings == ()
    assert texts(tmp_path / "out.mp4") == [(100, 600, wanted[0]), (800, 1100, wanted[1])]
    with av.open(str(tmp_path / "out.mp4")) as out:
        track = out.streams.subtitles[0]
        assert (track.codec_context.name, track.language) == ("mov_text", "kor")
        assert track.disposition & Disposition.hearing_impaired
    assert codes(tmp_path / "a.mkv") == []


def test_timed_text_is_copied_with_its_styles(tmp_path: Path) -> None:
    styled = b"\x00\x05hello" + b"\x00\x00\x00\x16styl\x00\x01\x00\x00\x00\x02\x00\x01\x02\x10\xff\xff\xff\xff"
    file = File(tmp_path / "a.mp4")
    file.text("mov_text", (500, 1500, styled), language="eng")
    remade(file.write(), tmp_path / "out.mp4")
    assert texts(tmp_path / "out.mp4") == [(500, 1500, "hello")]
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert styled in [bytes(p) for p in out.demux(out.streams.subtitles[0])]
        assert out.streams.subtitles[0].language == "eng"


@pytest.mark.parametrize(
    ("suffix", "codec", "prefix"),
    [("mkv", "subrip", b""), ("mp4", "mov_text", b"\x00\x03"), ("mov", "mov_text", b"\x00\x03")],
)
def test_subtitles_move_with_the_frame_and_are_cut_at_its_begin(
    tmp_path: Path, suffix: str, codec: str, prefix: bytes
) -> None:
    file = File(tmp_path / f"a.{suffix}", replace(CLIP, pts=range(30, 90)))
    file.text(codec, (100, 600, prefix + b"old"), (700, 1300, prefix + b"cut"), (1500, 2000, prefix + b"new"))
    remade(file.write(), tmp_path / "out.mp4")
    assert texts(tmp_path / "out.mp4") == [(0, 300, "cut"), (500, 1000, "new")]


def test_texts_that_overlap_are_shown_together(tmp_path: Path) -> None:
    file = File(tmp_path / "a.mkv")
    file.text("subrip", (100, 1000, b"one"), (500, 1500, b"two"), (500, 700, b"three"))
    remade(file.write(), tmp_path / "out.mp4")
    assert texts(tmp_path / "out.mp4") == [
        (100, 500, "one"), (500, 700, "one\ntwo\nthree"), (700, 1000, "one\ntwo"), (1000, 1500, "two"),
    ]  # fmt: skip


def test_tracks_of_different_density_keep_their_times(tmp_path: Path) -> None:
    file = File(tmp_path / "a.mkv", replace(CLIP, frames=900, fps=Fraction(30)))
    dense = [(t, t + 900, str(t).encode()) for t in range(500, 29_000, 1000)]
    file.text("subrip", (100, 400, b"early"), (28_000, 29_500, b"late"))
    file.text("ass", *((start, end, b"0,0,Default,,0,0,0,," + text) for start, end, text in dense))
    remade(file.write(), tmp_path / "out.mp4")
    assert texts(tmp_path / "out.mp4", 0) == [(100, 400, "early"), (28_000, 29_500, "late")]
    assert texts(tmp_path / "out.mp4", 1) == [(start, end, text.decode()) for start, end, text in dense]
    with av.open(str(tmp_path / "out.mp4")) as out:
        early = next(p.pos for p in out.demux(out.streams.subtitles[0]) if p.size > 2)
    with av.open(str(tmp_path / "out.mp4")) as out:
        frame = next(p.pos for p in out.demux(out.streams.video[0]) if p.pts * p.time_base >= 10)
    assert early < frame, "a text lies near the frames that it is shown with"


def _cues() -> st.SearchStrategy[list[Cue]]:
    cue = st.builds(
        lambda start, length, text: Cue(start, start + length, bytes([65 + text])),
        st.integers(-50, 200),
        st.integers(1, 60),
        st.integers(0, 25),
    )
    return st.lists(cue, max_size=20).map(lambda cues: sorted(cues, key=lambda c: c.start))


@given(_cues())
def test_flattening_shows_at_every_moment_what_the_cues_show(cues: list[Cue]) -> None:
    flat = list(_flattened(cues))
    assert all(a.end <= b.start for a, b in pairwise(flat))
    for moment in range(0, 270):
        shown = [c.text for c in flat if c.start <= moment < c.end]
        wanted = [c.text for c in cues if c.start <= moment < c.end]
        assert sorted(b"\\N".join(shown).split(b"\\N")) == sorted(b"\\N".join(wanted).split(b"\\N"))


def _flattened(cues: list[Cue]) -> Iterator[Cue]:
    flattener = CueFlattener()
    for cue in cues:
        yield from flattener.take(cue)
    yield from flattener.ready_until(float("inf"))


def test_what_mp4_cannot_hold_is_named(tmp_path: Path) -> None:
    file = File(tmp_path / "a.mkv")
    file.text("subrip", (100, 600, b"text"))
    file.text("dvdsub", (100, 600, b"abcd" * 10))
    file.out.add_attachment("font.ttf", "application/x-truetype-font", b"x" * 100)
    path = file.write()
    assert sorted((w.code, w.stream) for w in probe(path).warnings) == [
        ("ATTACHMENTS_DROPPED", None), ("SUBTITLES_DROPPED", 2),
    ]  # fmt: skip
    remade(path, tmp_path / "out.mp4")
    assert texts(tmp_path / "out.mp4") == [(100, 600, "text")]


def test_data_is_named(tmp_path: Path) -> None:
    file = File(tmp_path / "a.ts")
    file.add(file.out.add_data_stream("klv"), b"abcd" * 10, 100, 200)
    assert [(w.code, w.stream) for w in probe(file.write()).warnings] == [("DATA_STREAMS_DROPPED", 1)]


def test_closed_captions_within_the_frames_are_named(tmp_path: Path) -> None:
    """ATSC A/53 captions travel in a user data SEI of each frame."""
    plain = replace(CLIP, frames=5).write(tmp_path / "plain.ts")
    body = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x20\xff"
    sei = b"\x00\x00\x00\x01\x06\x04" + bytes([len(body)]) + body + b"\x80"
    with av.open(str(plain)) as source, av.open(str(tmp_path / "a.ts"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                captioned = Packet(sei + bytes(packet))
                captioned.stream, captioned.time_base = stream, packet.time_base
                captioned.pts, captioned.dts, captioned.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
                out.mux(captioned)
    assert codes(plain) == []
    assert codes(tmp_path / "a.ts") == ["CAPTIONS_DROPPED"]


def test_a_timecode_that_cannot_be_counted_is_named(tmp_path: Path) -> None:
    with recopied(CLIP.write(tmp_path / "plain.mkv"), tmp_path / "a.mkv") as streams:
        streams[0].metadata["timecode"] = "about noon"
    assert [w.code for w in remade(tmp_path / "a.mkv", tmp_path / "out.mp4").warnings] == ["TIMECODE_DROPPED"]


def test_text_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    file = File(tmp_path / "a.mkv")
    file.text("subrip", (100, 600, b"good"), (700, 800, b"x" * 20_000))
    outcome = remade(file.write(), tmp_path / "out.mp4")
    assert [(w.code, w.stream) for w in outcome.warnings] == [("SUBTITLES_DAMAGED", 1)]
    assert texts(tmp_path / "out.mp4") == [(100, 600, "good")]


def test_each_tracks_language_and_use_are_kept(tmp_path: Path) -> None:
    clip = replace(CLIP, audio=[Audio(language="eng"), Audio("pcm_s16le", language="kor")])
    plain = clip.write(tmp_path / "plain.mkv")
    with recopied(plain, tmp_path / "a.mkv") as streams:
        streams[1].disposition = Disposition(0)
        streams[2].disposition = Disposition.default | Disposition.comment
        streams[1].metadata["language"], streams[2].metadata["language"] = "eng", "kor"
    remade(tmp_path / "a.mkv", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as result:
        first, second = result.streams.audio
        assert (first.language, second.language) == ("eng", "kor")
        assert not first.disposition & Disposition.default
        assert second.disposition & Disposition.default
        assert second.disposition & Disposition.comment
