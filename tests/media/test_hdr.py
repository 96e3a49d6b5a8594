"""Whole jobs on HDR: mapped to BT.709, or kept as HEVC Main 10 where a profile asks for it."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.cpu.compose import CpuCompositor
from engines.cpu.filters import output_color
from engines.frames import ColorTags, Frame, Rect
from engines.media.probe import probe
from engines.protocols import TileSource
from engines.registry import CpuBackend
from engines.settings import DeviceSettings
from engines.tone_map import ToneSource
from engines.video.color import with_static_metadata
from engines.video.sdr_preview import sdr_preview
from pipeline.errors import JobStopped
from pipeline.job import JobSpec
from pipeline.rendering.hdr import hdr_warnings, keeps_hdr
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support import tone_reference as reference
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import packets
from tests.support.synth import Clip, image
from tests.support.tone_reference import X265

COLOURS = (0.62, 0.50, 0.42), (0.30, 0.42, 0.55)  # R'G'B' of the left and the right half
TENS = [reference.ten_bits(colour) for colour in COLOURS]
KEEP = ProfileSettings(hdr="keep", preset="ultrafast")


def halves(_number: int, width: int, height: int) -> VideoFrame:
    frame = VideoFrame(width, height, "yuv420p10le")
    for n, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
        rows[:, : plane.width // 2], rows[:, plane.width // 2 : plane.width] = TENS[0][n], TENS[1][n]
    return frame


HLG = Clip(
    frames=6, fps=Fraction(3), codec="libx265", pix_fmt="yuv420p10le", draw=halves, options=X265, color=(9, 18, 9, 1)
)  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return HLG.write(tmp_path_factory.mktemp("hdr") / "hlg.mkv")


def spec_for(source: Path, work_dir: Path, profile: ProfileSettings, backend: str = "cpu") -> JobSpec:
    work_dir.mkdir()
    return JobSpec(
        "job", source, source.name, work_dir, segments=SegmentSettings(seconds=1), profile=profile,
        device=DeviceSettings(backend=backend),
    )  # fmt: skip


def run(spec: JobSpec, should_stop=lambda: False):
    result = run_job(spec, on_progress=lambda _: None, should_stop=should_stop)
    return result, json.loads(result.files.report.read_bytes())


def stream_of(path: Path) -> tuple[str, str, tuple[int, int, int, int]]:
    """Codec's tag, sample format and colour tags."""
    with av.open(str(path)) as video:
        context = video.streams.video[0].codec_context
        colors = context.color_primaries, context.color_trc, context.colorspace, context.color_range
        return context.codec_tag, context.pix_fmt, tuple(map(int, colors))


def tile_means(path: Path) -> np.ndarray:
    """Mean Y', Cb', Cr' in the middle of both tiles of the fifth frame, as stored."""
    with av.open(str(path)) as video:
        frame = next(f for n, f in enumerate(video.decode(video=0)) if n == 4)
    means = []
    for plane in frame.planes:
        wide = frame.format.components[0].bits > 8
        rows = np.frombuffer(plane, np.uint16 if wide else np.uint8).reshape(plane.height, -1)[:, : plane.width]
        quarter = plane.width // 4
        means.append([rows[:, c - 20 : c + 20].mean() for c in (quarter, 3 * quarter)])
    return np.array(means).T


def test_hdr_becomes_sdr_of_the_right_colours(recording: Path, tmp_path: Path) -> None:
    result, report = run(spec_for(recording, tmp_path / "work", ProfileSettings(preset="ultrafast")))
    assert stream_of(result.files.video) == ("avc1", "yuv420p", (1, 1, 1, 1))
    expected = [reference.eight_bits(reference.sdr(reference.from_ten_bits(c), "hlg")) for c in TENS]
    assert np.abs(tile_means(result.files.video) - expected).max() < 2
    assert report["warnings"] == []
    assert report["input"]["video"]["color"]["transfer"] == 18


def test_kept_hdr_is_main_10_with_its_tags_also_after_a_stop(recording: Path, tmp_path: Path) -> None:
    whole, report = run(spec_for(recording, tmp_path / "whole", KEEP))
    assert stream_of(whole.files.video) == ("hvc1", "yuv420p10le", (9, 18, 9, 1))
    assert np.abs(tile_means(whole.files.video) - TENS).max() < 2  # of 10 bits
    assert (report["output"]["video"]["codec"], report["output"]["video"]["encoder"]) == ("hevc", "libx265")
    assert report["warnings"] == []
    spec = spec_for(recording, tmp_path / "parts", KEEP)
    with pytest.raises(JobStopped):
        run(spec, should_stop=lambda: True)
    resumed, _ = run(spec)
    assert packets(resumed.files.video) == packets(whole.files.video)


def test_kept_pq_keeps_its_static_metadata(tmp_path: Path) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
    options = {"x265-params": f"log-level=none:master-display={display}:max-cll=1200,400"}
    color = probe(replace(HLG, color=(9, 16, 9, 1), options=options).write(tmp_path / "pq.mkv")).video.color
    assert (color.transfer, color.mastering_display, color.content_light) == (16, display, "1200,400")
    color = output_color(probe(tmp_path / "pq.mkv").video, keep_hdr=True)
    encoder = CpuBackend().encoder(640, 360, time_base=Fraction(1, 1000), fps=Fraction(25), color=color, settings=KEEP)
    frames = (Frame(np.full((360, 640), n << 12, np.uint16), np.full((180, 320, 2), 2**15, np.uint16), 40 * n, 40)
                for n in range(4))  # fmt: skip
    coded = [packet for image in frames for packet in encoder.encode(image)] + encoder.flush()
    decoder = av.CodecContext.create("hevc", "r")
    decoder.extradata = encoder.extradata
    shown = [frame for packet in coded for frame in decoder.decode(av.Packet(packet.data))] + decoder.decode(None)
    said = with_static_metadata(ColorTags(), shown[0])
    assert (said.mastering_display, said.content_light) == (display, "1200,400")


def test_what_cannot_be_kept_is_said(recording: Path) -> None:
    video, backend = probe(recording).video, CpuBackend()
    assert keeps_hdr(KEEP, video, backend)
    assert hdr_warnings(KEEP, video, backend) == ()
    h264 = KEEP.model_copy(update={"encoder": "x264"})
    assert not keeps_hdr(h264, video, backend)
    (warning,) = hdr_warnings(h264, video, backend)
    assert warning.code == "HDR_TONEMAPPED"
    assert "x264" in warning.message


def test_sdr_has_nothing_to_keep(tmp_path: Path) -> None:
    video = probe(Clip(frames=2).write(tmp_path / "sdr.mp4")).video
    assert not keeps_hdr(KEEP, video, CpuBackend())
    assert hdr_warnings(KEEP.model_copy(update={"encoder": "x264"}), video, CpuBackend()) == ()


def test_dolby_vision_without_a_base_is_named(tmp_path: Path) -> None:
    path = replace(HLG, options={"x265-params": "log-level=none"}).write(tmp_path / "clip.mov")
    assert "DOLBY_VISION_NO_BASE" not in {warning.code for warning in probe(path).warnings}
    tag = b"hev1" if b"hev1" in path.read_bytes() else b"hvc1"
    path.write_bytes(path.read_bytes().replace(tag, b"dvh1"))
    assert "DOLBY_VISION_NO_BASE" in {warning.code for warning in probe(path).warnings}


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_maps_what_it_cannot_keep_and_says_so(recording: Path, tmp_path: Path) -> None:
    result, report = run(spec_for(recording, tmp_path / "work", KEEP, "cuda"))
    assert stream_of(result.files.video)[1:] == ("yuv420p", (1, 1, 1, 1))
    assert [warning["code"] for warning in report["warnings"]] == ["HDR_TONEMAPPED"]


def test_sixteen_bits_are_composed_as_eight_are() -> None:
    frame = image(300, 640, 360).reformat(format="nv12")
    y, uv = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, :640] for p in frame.planes)
    shallow = Frame(y, uv.reshape(180, 320, 2), 0, 1)
    deep = replace(shallow, y=y.astype(np.uint16) << 8, uv=shallow.uv.astype(np.uint16) << 8)
    crops = Rect(10.3, 20.7, 240.5, 270.6), Rect(320, 0, 320, 360)
    drawn = [CpuCompositor().compose(*(TileSource(f, crop) for crop in crops), 0, 1) for f in (shallow, deep)]
    assert np.abs(drawn[1].y / 256 - drawn[0].y).max() <= 1
    assert np.abs(drawn[1].uv / 256 - drawn[0].uv).max() <= 1
    blank = CpuCompositor().compose(TileSource(deep, None), TileSource(deep, None), 0, 1)
    assert (int(blank.y[0, 0]), int(blank.uv[0, 0, 0])) == (32 << 8, 128 << 8)


def test_models_see_the_colours_of_the_mapped_frame(recording: Path) -> None:
    look = sdr_preview(probe(recording).video)
    assert look is not None
    y = np.full((4, 4), TENS[0][0] << 6, np.uint16)
    uv = np.full((2, 2, 2), (TENS[0][1] << 6, TENS[0][2] << 6), np.uint16)
    expected = np.array(reference.sdr(reference.from_ten_bits(TENS[0]), "hlg"))[::-1] * 255
    assert np.abs(look.bgr(y, uv) - expected).max() < 4
    grey = reference.sdr((0.5, 0.5, 0.5), "hlg")[0]
    assert abs(int(look.luma(np.full((1, 1), (16 + 110) << 8, np.uint16))[0, 0]) - (16 + 219 * grey)) < 2
    assert ColorTags(9, 18, 9) == probe(recording).video.color
    assert ToneSource("hlg", 9).peak == 1000
