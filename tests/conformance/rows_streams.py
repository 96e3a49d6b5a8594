"""Rows: several streams, description, chapters, subtitles, edit lists."""

from __future__ import annotations

from fractions import Fraction

from tests.conformance import boxes, spoils
from tests.conformance.film import Film, Voice
from tests.conformance.judge import Heard
from tests.conformance.row import Row, track

_PCM = Voice("pcm_s16le")


def _row(name: str, what: str, happens: str, film: Film, **row: object) -> Row:
    return Row(f"streams-{name}", what, happens, film, **row)  # type: ignore[arg-type]


_TITLES = {"title": "Interview 인터뷰", "artist": "Studio", "comment": "first take"}

ROWS = [
    _row("title", "Title, artist and comment", "kept", Film(metadata=_TITLES), more={"metadata": _TITLES}),
    _row("created", "The date of the recording", "kept", Film(metadata={"creation_time": "2024-05-06T07:08:09Z"}),
         more={"metadata": {"creation_time": "2024-05-06T07:08:09"}}),
    _row("chapters", "Chapters", "kept", Film(chapters=True), more={"chapters": 2}),
    _row("chapters-mkv", "Chapters in Matroska", "kept", Film("a.mkv", chapters=True), more={"chapters": 2}),
    _row("subtitles-mp4", "Text subtitles in MP4", "kept", Film(subtitles="mov_text"), more={"subtitles": 1}),
    _row("subtitles-mkv", "Text subtitles in Matroska", "kept", Film("a.mkv", subtitles="subrip"),
         more={"subtitles": 1}),
    _row("cover-mp4", "A cover in MP4", "the recording is taken, the cover never", Film(cover=True)),
    _row("cover-mkv", "A cover attached to Matroska", "the recording is taken, the cover never", Film(),
         spoil=spoils.with_cover),
    _row("thumbnail-first", "A thumbnail as the first video stream", "the recording is taken, the thumbnail never",
         Film("a.mov", voices=()), spoil=spoils.with_thumbnail_first),
    _row("two-videos", "Two video streams, the smaller first", "the larger one is taken, with a warning",
         Film("a.mkv", voices=()), spoil=spoils.with_second_camera, warnings=["VIDEO_STREAM_DROPPED"]),
    _row("edit-trimmed", "An edit list that leaves out the first 0.2 s", "what players show", Film(options={"bf": "0"},
         voices=()), spoil=boxes.edited([(0.8, 0.2)]), times_s=[n * 0.04 for n in range(20)], numbers=range(5, 25)),
    _row("edit-empty", "An edit list that begins with nothing for 0.2 s", "what players show",
         Film(options={"bf": "0"}, voices=()), spoil=boxes.edited([(0.2, -1), (1.0, 0)])),
    _row("edit-jump", "An edit list that leaves out 0.2 s in the middle, of a jump cut without rendering",
         "what players show, video and audio alike", Film("a.mov", options={"bf": "0", "g": "1"}, voices=(_PCM,)),
         spoil=boxes.edited([(0.4, 0), (0.4, 0.6)]), times_s=[n * 0.04 for n in range(20)],
         numbers=[*range(10), *range(15, 25)], heard=[track(0, _PCM, length_s=0.8)]),
    _row("edit-250", "An edit list of 250 cuts, one frame each", "what players show, video and audio of one length",
         Film("a.mov", frames=300, rate=Fraction(60), options={"bf": "0", "g": "1"},
              voices=(Voice("pcm_s16le", length_s=5.0),), muxer={"movie_timescale": "60000"}),
         spoil=boxes.edited([(1 / 60, n / 60) for n in range(300) if n % 6 != 5]),
         times_s=[n / 60 for n in range(250)], numbers=[n for n in range(300) if n % 6 != 5],
         heard=[Heard((), length_s=250 / 60)]),
    _row("edit-many", "An edit list of 30 cuts", "what players show, video and audio of one length",
         Film("a.mov", frames=150, rate=Fraction(50), options={"bf": "0", "g": "1"},
              voices=(Voice("pcm_s16le", length_s=3.0),)),
         spoil=boxes.edited([(0.08, n * 0.1) for n in range(30)]), times_s=[n * 0.02 for n in range(120)],
         numbers=[5 * n + k for n in range(30) for k in range(4)], heard=[Heard((), length_s=2.4)]),
]  # fmt: skip
