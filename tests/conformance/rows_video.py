"""Rows: geometry, interlacing, colour and brightness."""

from __future__ import annotations

from fractions import Fraction

from tests.conformance.film import Film, Voice
from tests.conformance.row import Row
from tests.conformance.spoils import grown, turned

_UPRIGHT = "upright, nothing stretched"
_SDR = "the colours of the recording"
_TONE = "tone-mapped to BT.709"
_SVT = {"preset": "6", "crf": "5", "svtav1-params": "enable-tf=0"}
_X265 = {"x265-params": "log-level=none"}


def _row(name: str, what: str, /, happens: str, *, row: dict[str, object] | None = None, **film: object) -> Row:
    return Row(name, what, happens, Film(**film), **(row or {}))  # type: ignore[arg-type]


def _geometry(name: str, what: str, happens: str = _UPRIGHT, /, **film: object) -> Row:
    return _row(f"geometry-{name}", what, happens, **film)  # type: ignore[arg-type]


def _colour(name: str, what: str, happens: str = _SDR, /, **film: object) -> Row:
    return _row(f"colour-{name}", what, happens, **film)  # type: ignore[arg-type]


def _hdr(name: str, what: str, tags: tuple[int, int, int, int], /, **film: object) -> Row:
    fields: dict[str, object] = {"codec": "libx265", "pix_fmt": "yuv420p10le", "matrix": 9, "tags": tags,
                                 "options": _X265, "name": "a.mov"} | film  # fmt: skip
    return _colour(name, what, _TONE, row={"look": "hdr", "more": {"matrices": (1,)}},
                   **fields)  # fmt: skip


GEOMETRY = [
    *[_geometry(f"rotated-{turn}", f"A phone held so that players turn the video by {turn} degrees", rotation=turn)
      for turn in (90, 180, 270)],
    _geometry("rotated-90-mov", "The same in QuickTime", name="a.mov", rotation=90),
    _geometry("mirrored", "A front camera's mirrored video", mirrored=True),
    _geometry("mirrored-turned", "Mirrored and turned", mirrored=True, rotation=90),
    _geometry("portrait", "Portrait", width=180, height=320),
    _geometry("square", "Square", width=240, height=240),
    _geometry("4-3", "4:3", width=320, height=240),
    _geometry("ultrawide", "Ultrawide, 32:9", width=640, height=180),
    _geometry("tall", "Tall, 9:20", width=144, height=320),
    _geometry("anamorphic-hdv", "Pixels of 4:3, as HDV has them", width=240, height=180, aspect=Fraction(4, 3)),
    _geometry("anamorphic-pal", "Pixels of PAL, 16:15", width=360, height=288, aspect=Fraction(16, 15)),
    _geometry("anamorphic-ntsc", "Pixels of NTSC, 8:9", width=360, height=240, aspect=Fraction(8, 9)),
    _geometry("anamorphic-turned", "Oblong pixels, turned", width=240, height=180, aspect=Fraction(4, 3), rotation=90),
    _geometry("odd-mkv", "Odd width and height", name="a.mkv", codec="ffv1", pix_fmt="yuv444p", width=321, height=181),
    _geometry("odd-420", "Odd width, 4:2:0", name="a.webm", codec="libvpx-vp9", width=321, height=181,
              voices=(Voice("opus"),), bit_rate=3_000_000),
    _geometry("not-16", "A size that is no multiple of 16", width=322, height=182),
    _geometry("small", "Very small, 64x36", width=64, height=36, options={"crf": "8"}),
    _geometry("720p", "1280x720", width=1280, height=720, matrix=1),
    _geometry("1080p", "1920x1080", width=1920, height=1080, frames=10, matrix=1, voices=()),
    _geometry("2160p", "3840x2160", width=3840, height=2160, frames=6, matrix=1, voices=()),
    _geometry("interlaced-tff", "Interlaced, top field first", "every frame once, without combs", width=352, height=288,
              interlaced="tff", options={"x264-params": "tff=1"}),
    _geometry("interlaced-bff", "Interlaced, bottom field first", "every frame once, without combs", width=352,
              height=288, interlaced="bff", options={"x264-params": "bff=1"}),
    Row("geometry-grows", "The size grows in the middle, as in a browser's recording",
        "each part in its best quality", Film("a.webm", codec="libvpx", voices=()), spoil=grown,
        times_s=[n * 0.04 for n in range(50)], numbers=[*range(25), *range(25)]),
    Row("geometry-turns", "The video turns from landscape to portrait in the middle",
        "each part upright", Film("a.webm", codec="libvpx", voices=()), spoil=turned,
        times_s=[n * 0.04 for n in range(50)], numbers=[*range(25), *range(25)], look="none"),
]  # fmt: skip

COLOUR = [
    _colour("untagged-sd", "Untagged, small: BT.601 by convention"),
    _colour("untagged-hd", "Untagged, HD: BT.709 by convention", width=1280, height=720, frames=10, matrix=1,
            voices=()),
    _colour("bt601", "BT.601 (525 lines)", tags=(6, 6, 6, 1)),
    _colour("bt470bg", "BT.601 (625 lines)", tags=(5, 6, 5, 1)),
    _colour("bt709", "BT.709", tags=(1, 1, 1, 1), matrix=1),
    _colour("bt709-hd", "BT.709, HD", tags=(1, 1, 1, 1), matrix=1, width=1280, height=720, frames=10, voices=()),
    _colour("full-601", "Full range, BT.601, of phones", tags=(6, 6, 6, 2), full_range=True, pix_fmt="yuvj420p"),
    _colour("full-709", "Full range, BT.709", tags=(1, 1, 1, 2), matrix=1, full_range=True, pix_fmt="yuvj420p"),
    _colour("full-709-10", "Full range, 10 bits", tags=(1, 1, 1, 2), matrix=1, full_range=True, pix_fmt="yuv420p10le"),
    _colour("709-10", "BT.709, 10 bits", tags=(1, 1, 1, 1), matrix=1, pix_fmt="yuv420p10le"),
    _colour("709-422", "BT.709, 4:2:2", tags=(1, 1, 1, 1), matrix=1, pix_fmt="yuv422p"),
    _colour("smpte240m", "SMPTE 240M", tags=(7, 7, 7, 1), matrix=7, row={"more": {"matrices": (1, 5, 6, 7)}}),
    _colour("srgb-rgb", "RGB of a screen recorder", codec="utvideo", name="a.avi", pix_fmt="gbrp",
            voices=(Voice("pcm_s16le"),)),
    _colour("palette", "A palette of 256 colours", codec="rawvideo", name="a.avi", pix_fmt="rgb8",
            voices=(Voice("pcm_s16le"),), row={"look": "none"}),
    _colour("grey", "Greyscale", codec="ffv1", name="a.mkv", pix_fmt="gray", full_range=True, row={"look": "grey"}),
    _colour("bt2020-sdr", "BT.2020 without HDR", "brought to BT.709", tags=(9, 14, 9, 1), matrix=9, codec="libx265",
            pix_fmt="yuv420p10le", options=_X265, row={"look": "hdr", "more": {"matrices": (1,)}}),
    _hdr("hlg", "HLG of a phone", (9, 18, 9, 1)),
    _hdr("pq", "PQ (HDR10)", (9, 16, 9, 1)),
    _hdr("hlg-prores", "HLG in ProRes", (9, 18, 9, 1), codec="prores_ks", pix_fmt="yuv422p10le", options={},
         voices=(Voice("pcm_s16le"),)),
    _hdr("pq-ffv1", "PQ in FFV1", (9, 16, 9, 1), codec="ffv1", name="a.mkv", options={}),
    _hdr("pq-av1", "PQ in AV1", (9, 16, 9, 1), codec="libsvtav1", name="a.mkv", options=_SVT),
    _colour("hlg-kept", "HLG with hdr: keep", "kept in HEVC Main 10, with its tags", codec="libx265", name="a.mov",
            pix_fmt="yuv420p10le", matrix=9, tags=(9, 18, 9, 1), options=_X265,
            row={"profile": {"hdr": "keep"}, "look": "none",
                 "more": {"codec": "hevc", "matrices": (9,), "transfers": (18,)}}),
    _hdr("hlg-h264", "HLG in H.264, 10 bits", (9, 18, 9, 1), codec="libx264", options={}),
]  # fmt: skip
