"""Rows: video codecs and pixel formats."""

from __future__ import annotations

from tests.conformance.film import Film, Voice
from tests.conformance.row import Row

_PCM = (Voice("pcm_s16le"),)
_RICH = {"bit_rate": 5_000_000}
_SVT = {"preset": "6", "crf": "5", "svtav1-params": "enable-tf=0"}
_JPEG = {"qmin": "1", "qmax": "3"}


def _row(name: str, what: str, /, happens: str = "decoded, every frame at its time", **film: object) -> Row:
    look = film.pop("look", "exact")
    return Row(f"codec-{name}", what, happens, Film(**film), look=look)  # type: ignore[arg-type]


def _h264(profile: str, **film: object) -> dict[str, object]:
    return {"options": {"profile": profile}} | film


ROWS = [
    _row("h264-baseline", "H.264 Baseline, no B-frames", **_h264("baseline")),
    _row("h264-high-b", "H.264 High, three B-frames and a pyramid",
         options={"preset": "veryfast", "bf": "3", "b-pyramid": "normal", "g": "50"}),
    _row("h264-open-gop", "H.264 with open GOPs", options={"bf": "3", "g": "8", "x264-params": "open-gop=1"}),
    _row("h264-intra", "H.264, only intra frames", options={"g": "1"}),
    _row("h264-long-gop", "H.264, a single keyframe", options={"g": "999", "bf": "2"}),
    _row("h264-intra-refresh", "H.264 with intra refresh instead of keyframes",
         options={"x264-params": "intra-refresh=1", "bf": "0"}),
    _row("h264-slices", "H.264 in eight slices", options={"x264-params": "slices=8"}),
    _row("h264-10", "H.264 High 10", pix_fmt="yuv420p10le"),
    _row("h264-422", "H.264 High 4:2:2, 10 bits", pix_fmt="yuv422p10le", name="a.mov"),
    _row("h264-444", "H.264 High 4:4:4", pix_fmt="yuv444p"),
    _row("h264-rgb", "H.264 in RGB", codec="libx264rgb", pix_fmt="rgb24"),
    _row("h264-lossless", "H.264 lossless", options={"qp": "0"}),
    _row("h264-grey", "H.264 monochrome", pix_fmt="gray", look="grey"),
    _row("hevc", "HEVC Main", codec="libx265", options={"x265-params": "log-level=none:bframes=3"}),
    _row("hevc-10", "HEVC Main 10", codec="libx265", pix_fmt="yuv420p10le",
         options={"x265-params": "log-level=none"}),
    _row("hevc-422", "HEVC 4:2:2, 10 bits", codec="libx265", pix_fmt="yuv422p10le",
         options={"x265-params": "log-level=none"}, name="a.mov"),
    _row("hevc-12", "HEVC Main 12", codec="libx265", pix_fmt="yuv420p12le",
         options={"x265-params": "log-level=none"}),
    _row("vp8", "VP8 with hidden frames", codec="libvpx", name="a.webm", voices=(Voice("opus"),),
         options={"auto-alt-ref": "1", "lag-in-frames": "16"}, **_RICH),
    _row("vp9-alt-ref", "VP9 with hidden frames", codec="libvpx-vp9", name="a.webm", voices=(Voice("opus"),),
         options={"auto-alt-ref": "1", "lag-in-frames": "16"}, **_RICH),
    _row("vp9-444", "VP9 4:4:4", codec="libvpx-vp9", name="a.mkv", pix_fmt="yuv444p", **_RICH),
    _row("av1", "AV1", codec="libsvtav1", name="a.mp4", options=_SVT),
    _row("av1-10", "AV1, 10 bits", codec="libsvtav1", name="a.mkv", pix_fmt="yuv420p10le",
         options=_SVT),
    _row("mpeg1", "MPEG-1", codec="mpeg1video", name="a.mpg", voices=(Voice("mp2"),), **_RICH),
    _row("mpeg2-b", "MPEG-2 with B-frames", codec="mpeg2video", name="a.ts", options={"bf": "2"},
         voices=(Voice("mp2"),), **_RICH),
    _row("mpeg2-422", "MPEG-2 4:2:2 of broadcast cameras", codec="mpeg2video", name="a.mxf", pix_fmt="yuv422p",
         voices=_PCM, bit_rate=20_000_000),
    _row("mpeg4", "MPEG-4 Part 2", codec="mpeg4", **_RICH),
    _row("mpeg4-b-avi", "MPEG-4 Part 2 with B-frames in AVI, which has no presentation times", codec="mpeg4",
         name="a.avi", options={"bf": "2"}, voices=_PCM, **_RICH),
    _row("msmpeg4v2", "Microsoft MPEG-4 v2", codec="msmpeg4v2", name="a.avi", voices=_PCM, **_RICH),
    _row("wmv1", "Windows Media Video 7", codec="wmv1", name="a.wmv", voices=(Voice("wmav1", bit_rate=128_000),),
         **_RICH),
    _row("flv1", "Sorenson H.263", codec="flv", name="a.flv", voices=(Voice("mp3", rate=44100),), **_RICH),
    _row("h263p", "H.263+", codec="h263p", name="a.avi", voices=_PCM, **_RICH),
    _row("h261", "H.261", codec="h261", name="a.avi", width=352, height=288, voices=_PCM, **_RICH),
    _row("mjpeg-420", "Motion JPEG 4:2:0", codec="mjpeg", name="a.mov", pix_fmt="yuvj420p", full_range=True,
         options=_JPEG),
    _row("mjpeg-422", "Motion JPEG 4:2:2 of webcams", codec="mjpeg", name="a.avi", pix_fmt="yuvj422p", voices=_PCM,
         full_range=True, options=_JPEG),
    _row("mjpeg-444", "Motion JPEG 4:4:4", codec="mjpeg", name="a.mkv", pix_fmt="yuvj444p", full_range=True,
         options=_JPEG),
    _row("prores-422", "ProRes 422", codec="prores_ks", name="a.mov", pix_fmt="yuv422p10le", voices=_PCM),
    _row("prores-4444", "ProRes 4444 with alpha", codec="prores_ks", name="a.mov", pix_fmt="yuva444p10le",
         options={"profile": "4444"}, voices=_PCM),
    _row("dnxhr-hqx", "DNxHR HQX", codec="dnxhd", name="a.mov", width=1280, height=720, pix_fmt="yuv422p10le",
         options={"profile": "dnxhr_hqx"}, matrix=1, voices=_PCM),
    _row("cineform", "CineForm", codec="cfhd", name="a.mov", width=320, height=192, pix_fmt="yuv422p10le",
         voices=_PCM),
    _row("ffv1", "FFV1", codec="ffv1", name="a.mkv", voices=(Voice("flac"),)),
    _row("ffv1-422-10", "FFV1 4:2:2, 10 bits", codec="ffv1", name="a.mkv", pix_fmt="yuv422p10le"),
    _row("ffv1-rgb", "FFV1 in RGB with alpha", codec="ffv1", name="a.mkv", pix_fmt="bgra"),
    _row("huffyuv", "HuffYUV", codec="huffyuv", name="a.avi", pix_fmt="yuv422p", voices=_PCM),
    _row("utvideo", "Ut Video", codec="utvideo", name="a.avi", voices=_PCM),
    _row("magicyuv", "MagicYUV", codec="magicyuv", name="a.avi", pix_fmt="yuv444p", voices=_PCM),
    _row("raw-uyvy", "Uncompressed 4:2:2", codec="rawvideo", name="a.mov", pix_fmt="uyvy422", voices=_PCM),
    _row("raw-rgb", "Uncompressed RGB", codec="rawvideo", name="a.avi", pix_fmt="bgr24", voices=_PCM),
    _row("v210", "Uncompressed 4:2:2, 10 bits", codec="v210", name="a.mov", pix_fmt="yuv422p10le", width=336,
         voices=_PCM),
    _row("qtrle", "QuickTime Animation", codec="qtrle", name="a.mov", pix_fmt="rgb24", voices=_PCM),
    _row("png", "PNG frames in QuickTime", codec="png", name="a.mov", pix_fmt="rgb24", voices=_PCM),
    _row("jpeg2000", "JPEG 2000", codec="jpeg2000", name="a.mov", pix_fmt="yuv422p", voices=_PCM, **_RICH),
    _row("dv-pal-mov", "DV in QuickTime", codec="dvvideo", name="a.mov", width=720, height=576, voices=_PCM),
    _row("dirac", "Dirac (VC-2)", codec="vc2", name="a.mkv", pix_fmt="yuv422p", matrix=1, bit_rate=200_000_000),
    _row("svq1", "Sorenson Video 1", codec="svq1", name="a.mov", pix_fmt="yuv410p", look="none"),
    _row("zmbv", "DOSBox capture", codec="zmbv", name="a.avi", pix_fmt="bgr0", voices=_PCM),
    _row("flashsv", "Flash screen video", codec="flashsv", name="a.flv", pix_fmt="bgr24",
         voices=(Voice("mp3", rate=44100),)),
    _row("zlib", "LCL zlib", codec="zlib", name="a.avi", pix_fmt="bgr24", voices=_PCM),
    _row("nv12", "Uncompressed NV12", codec="rawvideo", name="a.mkv", pix_fmt="nv12"),
    _row("vp9-alpha", "VP8 with an alpha stream", codec="libvpx", name="a.webm", pix_fmt="yuva420p",
         voices=(Voice("opus"),), options={"auto-alt-ref": "0"}, **_RICH),
]  # fmt: skip
